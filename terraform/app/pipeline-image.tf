locals {
  image_variables = var.bake == null ? {} : merge(
    {
      PINION_CLI           = var.repository.pinion_dir
      IMAGE_PARAMETER      = local.image_parameter
      PACKER_VERSION       = var.bake.packer_version
      PACKER_SHA256        = var.bake.packer_sha256
      AMAZON_PLUGIN_SHA256 = var.bake.amazon_plugin_sha256
      PKR_VAR_subnet_id    = var.bake.subnet_id
      PKR_VAR_kms_key_id   = var.bake.kms_key_arn
    },
    { for name, value in var.bake.agents : "PKR_VAR_${name}" => value },
  )
}

resource "aws_codepipeline" "image" {
  count = var.bake == null ? 0 : 1

  name           = "${local.name}-image"
  role_arn       = aws_iam_role.this["pipeline-image"].arn
  pipeline_type  = "V2"
  execution_mode = "QUEUED"

  artifact_store {
    type     = "S3"
    location = aws_s3_bucket.this["pipeline"].id

    encryption_key {
      type = "KMS"
      id   = aws_kms_key.bucket["pipeline"].arn
    }
  }

  trigger {
    provider_type = "CodeStarSourceConnection"

    git_configuration {
      source_action_name = "source"

      push {
        branches {
          includes = [var.repository.branch]
        }

        # What is on an image: the agent's package and what Packer does.
        file_paths {
          includes = [for path in ["agent/**", "contract/**", "package-lock.json", "packer/**"] : "${local.pinion_prefix}${path}"]
        }
      }
    }
  }

  stage {
    name = "source"

    action {
      name             = "source"
      category         = "Source"
      owner            = "AWS"
      provider         = "CodeStarSourceConnection"
      version          = "1"
      configuration    = local.source_configuration
      output_artifacts = ["source"]
    }
  }

  stage {
    name = "bake"

    action {
      name            = "bake"
      category        = "Build"
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      input_artifacts = ["source"]
      configuration   = { ProjectName = aws_codebuild_project.this["image"].name }
    }
  }

  depends_on = [aws_iam_role_policy.this]
}

# A new image in the channel, whoever baked or chose it, is a proposal: plan takes it for each environment whose tfvars name none, and waits for approval.
resource "aws_cloudwatch_event_rule" "propose" {
  name        = "${local.name}-propose"
  description = "Plans ${var.app} with the image that ${local.image_parameter} names"

  event_pattern = jsonencode({
    source      = ["aws.ssm"]
    detail-type = ["Parameter Store Change"]
    detail      = { name = [local.image_parameter], operation = ["Create", "Update"] }
  })
}

resource "aws_cloudwatch_event_target" "propose" {
  rule     = aws_cloudwatch_event_rule.propose.name
  arn      = aws_codepipeline.infrastructure.arn
  role_arn = aws_iam_role.this["propose"].arn
}
