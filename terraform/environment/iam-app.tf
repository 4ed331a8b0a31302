# App: what the app itself may do; only the agent can take this role, and hands it on

data "aws_iam_policy_document" "app_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.runtime.arn]
    }
  }
}

resource "aws_iam_role" "app" {
  count = var.app_role == null ? 0 : 1

  name                 = "${local.name}-app"
  description          = "The app ${var.app} in ${var.env}"
  assume_role_policy   = data.aws_iam_policy_document.app_trust.json
  permissions_boundary = one(aws_iam_policy.app_boundary[*].arn)
}

data "aws_iam_policy_document" "app" {
  source_policy_documents = [data.aws_iam_policy_document.no_deletion.json]

  dynamic "statement" {
    for_each = var.app_role == null ? [] : var.app_role.statements

    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

resource "aws_iam_role_policy" "app" {
  count = var.app_role == null ? 0 : 1

  name   = "app"
  role   = one(aws_iam_role.app[*].id)
  policy = data.aws_iam_policy_document.app.json

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.app.minified_json) <= 10240
      error_message = "The policy of app_role has ${length(data.aws_iam_policy_document.app.minified_json)} characters, and IAM takes 10,240: name fewer actions and resources in app_role.statements."
    }
  }
}

# Whatever is allowed later: nothing that builds, deploys or holds the infrastructure. In a Deny the * of an action only takes more away.
data "aws_iam_policy_document" "app_boundary" {
  source_policy_documents = [data.aws_iam_policy_document.app.json]

  statement {
    sid       = "NoControl"
    effect    = "Deny"
    actions   = [for service in local.control_services : "${service}:*"]
    resources = ["*"]
  }

  statement {
    sid       = "NoArtifacts"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.artifact_bucket, "${local.artifact_bucket}/*"]
  }
}

resource "aws_iam_policy" "app_boundary" {
  count = var.app_role == null ? 0 : 1

  name        = "${local.name}-app-boundary"
  description = "The most that the role ${local.name}-app may do"
  policy      = data.aws_iam_policy_document.app_boundary.json

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.app_boundary.minified_json) <= 6144
      error_message = "The boundary of app_role has ${length(data.aws_iam_policy_document.app_boundary.minified_json)} characters, and IAM takes 6,144: name fewer actions and resources in app_role.statements."
    }
  }
}
