# Each role may do what its grants say; its boundary is the same without their conditions, so that whatever is attached later adds nothing. Apply has
# a boundary of its own (iam-apply.tf). Deploy and release are roles of terraform/environment.

locals {
  pipelines = merge(
    length(local.order) > 0 ? { app = local.app_projects } : {},
    { infrastructure = ["plan", "apply"] },
    var.bake == null ? {} : { image = ["image"] },
  )
  pipeline_arns   = { for pipeline in keys(local.pipelines) : pipeline => "${local.regional.codepipeline}:${local.name}-${pipeline}" }
  pipeline_bucket = { for pipeline in keys(local.pipelines) : pipeline => pipeline == "infrastructure" ? "plans" : "pipeline" }

  # Projects of this root's own roles
  build_roles = toset(concat(length(local.order) > 0 ? ["build"] : [], ["plan", "apply"], var.bake == null ? [] : ["image"]))

  services = merge(
    { for role in local.build_roles : role => { principal = "codebuild.amazonaws.com", source = "${local.regional.codebuild}:project/${local.name}-${role}" } },
    { for pipeline, arn in local.pipeline_arns : "pipeline-${pipeline}" => { principal = "codepipeline.amazonaws.com", source = arn } },
    { propose = { principal = "events.amazonaws.com", source = "${local.regional.events}:rule/${local.name}-propose" } },
  )

  grants = merge(
    { for role, grants in { build = local.build_grants, image = local.image_grants, plan = local.plan_grants } : role => concat(local.build_log_grants[role], grants) if contains(local.build_roles, role) },
    { for pipeline in keys(local.pipelines) : "pipeline-${pipeline}" => local.pipeline_grants[pipeline] },
    { propose = [{ sid = "Start", actions = ["codepipeline:StartPipelineExecution"], resources = [local.pipeline_arns.infrastructure] }] },
  )

  # Plan reads so much that its boundary, of 6,144 characters, has no room for every ARN.
  ceilings = merge(local.grants, { plan = concat(local.build_log_grants.plan, local.source_grants.plans, local.state_grants, local.look_ceiling, local.keep_plan_grants) })

  by_s3 = [{ test = "StringEquals", variable = "kms:ViaService", values = ["s3.${var.region}.${local.dns_suffix}"] }]

  build_log_grants = { for role in local.build_roles : role => [
    { sid = "WriteBuildLog", actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = ["${local.regional.logs}:log-group:/aws/codebuild/${local.name}-${role}:log-stream:*"] },
  ] }

  source_grants = { for bucket in ["pipeline", "plans"] : bucket => [
    { sid = "ReadSource", actions = ["s3:GetObject", "s3:GetObjectVersion"], resources = ["${aws_s3_bucket.this[bucket].arn}/*"] },
    { sid = "DecryptSource", actions = ["kms:Decrypt"], resources = [aws_kms_key.bucket[bucket].arn], conditions = local.by_s3 },
  ] }

  # It runs the app's own code: what it may do, whoever writes to the branch may do.
  build_grants = concat(local.source_grants.pipeline, [
    { sid = "ReadDocument", actions = ["ssm:GetParameter"], resources = ["${local.parameter_arn}/pinion/${var.app}/${coalesce(local.first, "-")}/infrastructure"] },
    # Versions of config, no values: those of a SecureString stay encrypted.
    { sid = "ReadConfigVersions", actions = ["ssm:GetParameters"], resources = ["${local.parameter_arn}/pinion/${var.app}/${coalesce(local.first, "-")}/config/*"] },
    # The record just written is read back.
    { sid = "WriteRecord", actions = ["ssm:GetParameter", "ssm:PutParameter"], resources = ["${local.parameter_arn}/pinion/${var.app}/${coalesce(local.first, "-")}/release"] },
    { sid = "Publish", actions = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], resources = [local.artifact_objects] },
    # Without ListBucket what is missing looks like what is forbidden.
    { sid = "SeeMissingArtifacts", actions = ["s3:ListBucket"], resources = [aws_s3_bucket.this["artifacts"].arn] },
    { sid = "EncryptArtifacts", actions = ["kms:Decrypt", "kms:GenerateDataKey"], resources = [aws_kms_key.bucket["artifacts"].arn], conditions = local.by_s3 },
  ])

  connection_service = split(":", var.repository.connection_arn)[2]

  pipeline_grants = { for pipeline, projects in local.pipelines : pipeline => concat(
    [
      { sid = "StartBuilds", actions = ["codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"], resources = [for project in projects : "${local.regional.codebuild}:project/${local.name}-${project}"] },
      {
        sid        = "FetchSource"
        actions    = ["${local.connection_service}:UseConnection"]
        resources  = [var.repository.connection_arn]
        conditions = [{ test = "ForAllValues:StringEquals", variable = "${local.connection_service}:FullRepositoryId", values = [var.repository.name] }]
      },
      { sid = "KeepFiles", actions = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], resources = ["${aws_s3_bucket.this[local.pipeline_bucket[pipeline]].arn}/*"] },
      { sid = "SeeBucket", actions = ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket"], resources = [aws_s3_bucket.this[local.pipeline_bucket[pipeline]].arn] },
      { sid = "EncryptFiles", actions = ["kms:Decrypt", "kms:GenerateDataKey"], resources = [aws_kms_key.bucket[local.pipeline_bucket[pipeline]].arn], conditions = local.by_s3 },
    ],
    [for topic in [aws_sns_topic.pipelines.arn] : { sid = "AskForApproval", actions = ["sns:Publish"], resources = [topic] } if pipeline != "image"],
  ) }
}

# Deleted and made again, a parameter counts from version 1: a release number would name another record.
data "aws_iam_policy_document" "no_deletion" {
  statement {
    sid       = "NoDeletion"
    effect    = "Deny"
    actions   = ["ssm:DeleteParameter", "ssm:DeleteParameters"]
    resources = ["${local.parameter_arn}/pinion/*/release", "${local.parameter_arn}/pinion/*/config/*"]
  }
}

data "aws_iam_policy_document" "trust" {
  for_each = local.services

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = [each.value.principal]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [each.value.source]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

data "aws_iam_policy_document" "boundary" {
  for_each = local.ceilings

  source_policy_documents = [data.aws_iam_policy_document.no_deletion.json]

  dynamic "statement" {
    for_each = each.value

    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

resource "aws_iam_policy" "boundary" {
  for_each = local.services

  name        = "${local.name}-${each.key}-boundary"
  description = "The most that the role ${local.name}-${each.key} may do"
  policy      = each.key == "apply" ? data.aws_iam_policy_document.apply_boundary.json : data.aws_iam_policy_document.boundary[each.key].json

  lifecycle {
    precondition {
      condition     = local.boundary_sizes[each.key] <= 6144
      error_message = "The policy ${local.name}-${each.key}-boundary has ${local.boundary_sizes[each.key]} characters, and IAM takes 6,144: give the app or its environments shorter names, or keep some of them in another app."
    }
  }
}

locals {
  boundary_sizes = { for role in keys(local.services) : role => length(role == "apply" ? data.aws_iam_policy_document.apply_boundary.minified_json : data.aws_iam_policy_document.boundary[role].minified_json) }
}

resource "aws_iam_role" "this" {
  for_each = local.services

  name                 = "${local.name}-${each.key}"
  description          = "Pipelines of ${var.app}: ${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  permissions_boundary = aws_iam_policy.boundary[each.key].arn
}

data "aws_iam_policy_document" "grants" {
  for_each = local.grants

  source_policy_documents = [data.aws_iam_policy_document.no_deletion.json]

  dynamic "statement" {
    for_each = each.value

    content {
      sid       = statement.value.sid
      actions   = statement.value.actions
      resources = statement.value.resources

      dynamic "condition" {
        for_each = try(statement.value.conditions, [])

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }
}

resource "aws_iam_role_policy" "this" {
  for_each = local.grants

  name   = each.key
  role   = aws_iam_role.this[each.key].id
  policy = data.aws_iam_policy_document.grants[each.key].json

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.grants[each.key].minified_json) <= 10240
      error_message = "The policy of the role ${local.name}-${each.key} has ${length(data.aws_iam_policy_document.grants[each.key].minified_json)} characters, and IAM takes 10,240 in a role: give the app or its environments shorter names, or keep some of them in another app."
    }
  }
}
