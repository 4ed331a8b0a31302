data "aws_partition" "current" {}

# Names in one place: what belongs to an environment is spelt here as terraform/environment spells it.
locals {
  name = "pinion-${var.app}"
  tags = merge(var.tags, { App = var.app, ManagedBy = "pinion" })

  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  account    = "arn:${local.partition}:iam::${var.account_id}"
  regional   = { for service in ["autoscaling", "cloudwatch", "codebuild", "codepipeline", "ec2", "elasticloadbalancing", "events", "kms", "logs", "sns", "ssm"] : service => "arn:${local.partition}:${service}:${var.region}:${var.account_id}" }

  environments = { for environment in var.environments : environment.name => environment }
  order        = var.environments[*].name
  first        = try(local.order[0], null)

  # Each environment after the first, and the one whose releases it takes.
  promotions = { for at, name in local.order : name => local.order[at - 1] if at > 0 }

  environment_roles = { for name in local.order : name => { for role in ["deploy", "release"] : role => "${local.account}:role/${local.name}-${name}-${role}" } }

  parameter_arn = "${local.regional.ssm}:parameter"
  documents     = [for name in local.order : "${local.parameter_arn}/pinion/${var.app}/${name}/infrastructure"]

  # Of every app and environment (docs/image.md)
  image_parameter     = "/pinion/image"
  image_parameter_arn = "${local.parameter_arn}${local.image_parameter}"

  state_bucket_arn = "arn:${local.partition}:s3:::${local.name}-state-${var.account_id}"
  state_keys       = concat(["app.tfstate"], [for name in local.order : "environment/${name}.tfstate"])

  # "." or a folder, as the prefix of a path in the repository
  app_prefix    = var.repository.app_dir == "." ? "" : "${var.repository.app_dir}/"
  pinion_prefix = var.repository.pinion_dir == "." ? "" : "${var.repository.pinion_dir}/"

  buildspecs = "${path.module}/../../pipeline/buildspecs"

  # What manages a key without using it.
  key_administration = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation", "kms:EnableKey",
    "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListResourceTags",
    "kms:PutKeyPolicy", "kms:RevokeGrant", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
  ]
}
