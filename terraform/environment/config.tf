data "aws_partition" "current" {}

# Names in one place: whatever refers to another root or to the instance spells them here.
locals {
  name   = "pinion-${var.app}-${var.env}"
  prefix = "/pinion/${var.app}/${var.env}"

  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  account    = "arn:${local.partition}:iam::${var.account_id}"

  tags = merge(var.tags, { App = var.app, Env = var.env, ManagedBy = "pinion" })

  # The ports and the path of every image (docs/image.md).
  traffic_port = 8000
  health_port  = 8081
  health_path  = "/readyz"

  hooks = { launch = "launch", terminate = "terminate" }

  parameter_arn  = "arn:${local.partition}:ssm:${var.region}:${var.account_id}:parameter"
  release_arn    = "${local.parameter_arn}${local.prefix}/release"
  config_arn     = "${local.parameter_arn}${local.prefix}/config/*"
  document_arn   = "${local.parameter_arn}${local.prefix}/infrastructure"
  source_release = var.release_from == null ? [] : ["${local.parameter_arn}/pinion/${var.app}/${var.release_from}/release"]

  artifact_objects = "arn:${local.partition}:s3:::${var.artifacts.bucket}/${var.app}/*"
  artifact_bucket  = "arn:${local.partition}:s3:::${var.artifacts.bucket}"
  artifact_keys    = var.artifacts.key_arn == null ? [] : [var.artifacts.key_arn]

  # contract/times.ts
  margins = { warm_up_seconds = 10, stop_seconds = 15 }

  # CloudWatch Logs API Reference, PutRetentionPolicy, up to two years.
  log_days = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]

  times_ms = {
    bootBudgetMs          = 1000 * var.times.boot_budget_seconds
    healthIntervalMs      = 1000 * var.times.health_interval_seconds
    idleTimeoutMs         = 1000 * var.times.idle_timeout_seconds
    deregistrationDelayMs = 1000 * var.times.deregistration_seconds
    warmUpMs              = 1000 * var.times.warm_up_seconds
    graceMs               = 1000 * var.times.grace_seconds
    launchHeartbeatMs     = 1000 * var.times.launch_heartbeat_seconds
    terminateHeartbeatMs  = 1000 * var.times.terminate_heartbeat_seconds
    stopTimeoutMs         = 1000 * var.times.stop_timeout_seconds
  }

  # The contract takes the field or leaves it out; null is refused.
  app_role_field = var.app_role == null ? {} : { appRoleArn = one(aws_iam_role.app[*].arn) }

  # What manages a key without using it.
  key_administration = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation", "kms:EnableKey",
    "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListResourceTags",
    "kms:PutKeyPolicy", "kms:RevokeGrant", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
  ]
}

# Values of config are written by `pinion config set`, never from here: what Terraform makes stands in its state.
resource "aws_kms_key" "config" {
  description             = "Config values of ${var.app} in ${var.env}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.config_key.json
}

resource "aws_kms_alias" "config" {
  name          = "alias${local.prefix}/config"
  target_key_id = aws_kms_key.config.key_id
}

data "aws_iam_policy_document" "config_key" {
  #checkov:skip=CKV_AWS_111:in a key's own policy the resource * is that key
  #checkov:skip=CKV_AWS_356:in a key's own policy the resource * is that key
  statement {
    sid       = "Administration"
    actions   = local.key_administration
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["${local.account}:root"]
    }
  }

  statement {
    sid       = "ParameterStoreForWhomIamLets"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["${local.account}:root"]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["ssm.${var.region}.${local.dns_suffix}"]
    }

    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:PARAMETER_ARN"
      values   = [local.config_arn]
    }
  }
}
