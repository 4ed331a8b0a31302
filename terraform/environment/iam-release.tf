# Release and deploy: CodeBuild

data "aws_iam_policy_document" "project_trust" {
  for_each = local.project_arns

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["codebuild.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = each.value
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

data "aws_iam_policy_document" "project" {
  for_each = local.projects

  source_policy_documents = [data.aws_iam_policy_document.no_deletion.json]

  statement {
    sid       = "WriteBuildLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = local.project_logs[each.key]
  }

  statement {
    sid       = "ReadDocument"
    actions   = ["ssm:GetParameter"]
    resources = [local.document_arn]
  }

  # Versions of config, no values: those of a SecureString stay encrypted.
  statement {
    sid       = "ReadConfigVersions"
    actions   = ["ssm:GetParameters"]
    resources = [local.config_arn]
  }

  # HeadObject; without ListBucket what is missing looks like what is forbidden.
  statement {
    sid       = "SeeArtifacts"
    actions   = ["s3:GetObjectVersion"]
    resources = [local.artifact_objects]
  }

  statement {
    sid       = "SeeMissingArtifacts"
    actions   = ["s3:ListBucket"]
    resources = [local.artifact_bucket]
  }

  dynamic "statement" {
    for_each = length(local.pipeline_objects) > 0 ? [local.pipeline_objects] : []

    content {
      sid       = "ReadSource"
      actions   = ["s3:GetObject", "s3:GetObjectVersion"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = length(concat(local.artifact_keys, local.pipeline_keys)) > 0 ? [concat(local.artifact_keys, local.pipeline_keys)] : []

    content {
      sid       = "DecryptObjects"
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${var.region}.${local.dns_suffix}"]
      }
    }
  }
}

resource "aws_iam_role" "release" {
  name                 = "${local.name}-release"
  description          = "Writes releases of ${var.app} for ${var.env}"
  assume_role_policy   = data.aws_iam_policy_document.project_trust["release"].json
  permissions_boundary = aws_iam_policy.boundary["release"].arn
}

data "aws_iam_policy_document" "release" {
  source_policy_documents = [data.aws_iam_policy_document.project["release"].json]

  # The record just written is read back.
  statement {
    sid       = "WriteRecord"
    actions   = ["ssm:GetParameter", "ssm:PutParameter"]
    resources = [local.release_arn]
  }

  statement {
    sid       = "ReadRecords"
    actions   = ["ssm:GetParameter", "ssm:GetParameterHistory"]
    resources = concat([local.release_arn], local.source_release)
  }
}

resource "aws_iam_role_policy" "release" {
  name   = "release"
  role   = aws_iam_role.release.id
  policy = data.aws_iam_policy_document.release.json
}
