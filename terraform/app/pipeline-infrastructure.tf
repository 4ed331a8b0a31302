locals {
  # Environments first, in their order; this root last, since it changes this very pipeline.
  roots = concat(
    [for name in local.order : { name = name, root = "environment", stage = name }],
    [{ name = "app", root = "app", stage = "pipelines" }],
  )
}

resource "aws_codepipeline" "infrastructure" {
  name           = "${local.name}-infrastructure"
  role_arn       = aws_iam_role.this["pipeline-infrastructure"].arn
  pipeline_type  = "V2"
  execution_mode = "QUEUED"

  artifact_store {
    type     = "S3"
    location = aws_s3_bucket.this["plans"].id

    encryption_key {
      type = "KMS"
      id   = aws_kms_key.bucket["plans"].arn
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

        file_paths {
          includes = ["${local.pinion_prefix}terraform/**", "${local.pinion_prefix}pipeline/buildspecs/**"]
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

  dynamic "stage" {
    for_each = local.roots

    content {
      name = stage.value.stage

      action {
        name             = "plan"
        category         = "Build"
        owner            = "AWS"
        provider         = "CodeBuild"
        version          = "1"
        namespace        = "plan-${stage.value.name}"
        input_artifacts  = ["source"]
        output_artifacts = ["plan-${stage.value.name}"]
        run_order        = 1

        configuration = {
          ProjectName = aws_codebuild_project.this["plan"].name
          EnvironmentVariables = jsonencode([
            { name = "TERRAFORM_ROOT", value = stage.value.root, type = "PLAINTEXT" },
            { name = "TERRAFORM_NAME", value = stage.value.name, type = "PLAINTEXT" },
          ])
        }
      }

      action {
        name      = "approve"
        category  = "Approval"
        owner     = "AWS"
        provider  = "Manual"
        version   = "1"
        run_order = 2

        configuration = {
          NotificationArn = aws_sns_topic.pipelines.arn
          CustomData      = "#{plan-${stage.value.name}.PLAN_CHANGES} (${stage.value.root} ${stage.value.name}; sha256 #{plan-${stage.value.name}.PLAN_SHA256}). The log of the plan shows each change."
        }
      }

      action {
        name            = "apply"
        category        = "Build"
        owner           = "AWS"
        provider        = "CodeBuild"
        version         = "1"
        input_artifacts = ["plan-${stage.value.name}", "source"]
        run_order       = 3

        configuration = {
          ProjectName   = aws_codebuild_project.this["apply"].name
          PrimarySource = "plan-${stage.value.name}"
          EnvironmentVariables = jsonencode([
            { name = "TERRAFORM_ROOT", value = stage.value.root, type = "PLAINTEXT" },
            { name = "TERRAFORM_NAME", value = stage.value.name, type = "PLAINTEXT" },
            { name = "PLAN_SHA256", value = "#{plan-${stage.value.name}.PLAN_SHA256}", type = "PLAINTEXT" },
          ])
        }
      }
    }
  }

  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy_attachment.apply]
}
