locals {
  pinion_variables = { PINION_APP_DIR = var.repository.app_dir, PINION_CLI = var.repository.pinion_dir }
  terraform_variables = {
    PINION_CLI        = var.repository.pinion_dir
    IMAGE_PARAMETER   = local.image_parameter
    TERRAFORM_VERSION = var.terraform.version
    TERRAFORM_SHA256  = var.terraform.sha256
  }

  # A deploy watches for three times its expected time and an hour (pipeline/rollout/follow.ts); a quarter of an hour is the build's own.
  deploy_minutes = { for name, environment in local.environments : name => 3 * environment.expected_minutes + 60 + 15 }

  projects = merge(
    local.first == null ? {} : {
      build = {
        buildspec = "build", role = aws_iam_role.this["build"].arn, bucket = "pipeline", minutes = 60,
        variables = merge(local.pinion_variables, { PINION_ENV = local.first, PINION_TEST = var.test_command })
      }
    },
    { for name in keys(local.promotions) : "release-${name}" => {
      buildspec = "promote", role = local.environment_roles[name].release, bucket = "pipeline", minutes = 15, variables = merge(local.pinion_variables, { PINION_ENV = name })
    } },
    { for name in local.order : "deploy-${name}" => {
      buildspec = "deploy", role = local.environment_roles[name].deploy, bucket = "pipeline", minutes = local.deploy_minutes[name], variables = merge(local.pinion_variables, { PINION_ENV = name })
    } },
    {
      plan  = { buildspec = "plan", role = aws_iam_role.this["plan"].arn, bucket = "plans", minutes = 30, variables = local.terraform_variables }
      apply = { buildspec = "apply", role = aws_iam_role.this["apply"].arn, bucket = "plans", minutes = 120, variables = local.terraform_variables }
    },
    var.bake == null ? {} : {
      image = { buildspec = "image", role = aws_iam_role.this["image"].arn, bucket = "pipeline", minutes = 60, variables = local.image_variables }
    },
  )

  app_projects = concat(["build"], [for name in keys(local.promotions) : "release-${name}"], [for name in local.order : "deploy-${name}"])

  # Of all projects, those of rollback.tf too
  project_names = concat(keys(local.projects), [for name in local.order : "rollback-${name}"])
}

# Their buildspecs are Terraform's: a branch brings none of its own.
resource "aws_codebuild_project" "this" {
  for_each = local.projects

  name           = "${local.name}-${each.key}"
  description    = "${each.value.buildspec}.yml for ${var.app}"
  service_role   = each.value.role
  encryption_key = aws_kms_key.bucket[each.value.bucket].arn
  build_timeout  = each.value.minutes

  source {
    type      = "CODEPIPELINE"
    buildspec = file("${local.buildspecs}/${each.value.buildspec}.yml")
  }

  artifacts {
    type = "CODEPIPELINE"
  }

  environment {
    type         = "LINUX_CONTAINER"
    compute_type = "BUILD_GENERAL1_SMALL"
    image        = var.build_image

    dynamic "environment_variable" {
      for_each = each.value.variables

      content {
        name  = environment_variable.key
        value = environment_variable.value
      }
    }
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.builds[each.key].name
    }
  }

  # Packer logs into its builder, which has no public address.
  dynamic "vpc_config" {
    for_each = each.key == "image" ? [var.bake] : []

    content {
      vpc_id             = vpc_config.value.vpc_id
      subnets            = [vpc_config.value.subnet_id]
      security_group_ids = [vpc_config.value.security_group_id]
    }
  }

  # CodeBuild tries the role when the project is made.
  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy_attachment.apply]
}

resource "aws_cloudwatch_log_group" "builds" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts with its own key; builds have no secret to log
  #checkov:skip=CKV_AWS_338:how long logs are kept is log_days
  for_each = toset(local.project_names)

  name              = "/aws/codebuild/${local.name}-${each.key}"
  retention_in_days = var.log_days
}
