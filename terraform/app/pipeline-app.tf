locals {
  # Every pipeline's first stage
  source_configuration = {
    ConnectionArn        = var.repository.connection_arn
    FullRepositoryId     = var.repository.name
    BranchName           = var.repository.branch
    OutputArtifactFormat = "CODE_ZIP"
    DetectChanges        = "false"
  }

  deploy_variables = { for name in local.order : name => jsonencode([
    for variable in ["PINION_RELEASE", "PINION_RECORD_SHA256"] : { name = variable, value = "#{release-${name}.${variable}}", type = "PLAINTEXT" }
  ]) }
}

# One execution after the other: a push that comes while a release waits for approval waits as well.
resource "aws_codepipeline" "app" {
  count = local.first == null ? 0 : 1

  name           = "${local.name}-app"
  role_arn       = aws_iam_role.this["pipeline-app"].arn
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

        file_paths {
          includes = ["${local.app_prefix}**"]
          # The app's folder may be the repository, and pinion's in it.
          excludes = local.pinion_prefix == "" ? null : ["${local.pinion_prefix}**"]
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
    name = "build"

    action {
      name            = "build"
      category        = "Build"
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      namespace       = "release-${local.first}"
      input_artifacts = ["source"]
      run_order       = 1
      configuration   = { ProjectName = aws_codebuild_project.this["build"].name }
    }
  }

  dynamic "stage" {
    for_each = local.order

    content {
      name = stage.value

      dynamic "action" {
        for_each = contains(keys(local.promotions), stage.value) ? [local.promotions[stage.value]] : []

        content {
          name      = "approve"
          category  = "Approval"
          owner     = "AWS"
          provider  = "Manual"
          version   = "1"
          run_order = 1

          configuration = {
            NotificationArn = aws_sns_topic.pipelines.arn
            CustomData      = "Release #{release-${action.value}.PINION_RELEASE} of ${action.value}, record #{release-${action.value}.PINION_RECORD_SHA256}, goes to ${stage.value}."
          }
        }
      }

      dynamic "action" {
        for_each = contains(keys(local.promotions), stage.value) ? [local.promotions[stage.value]] : []

        content {
          name            = "release"
          category        = "Build"
          owner           = "AWS"
          provider        = "CodeBuild"
          version         = "1"
          namespace       = "release-${stage.value}"
          input_artifacts = ["source"]
          run_order       = 2

          configuration = {
            ProjectName          = aws_codebuild_project.this["release-${stage.value}"].name
            EnvironmentVariables = jsonencode([{ name = "PINION_FROM", value = "${action.value}:#{release-${action.value}.PINION_RELEASE}:#{release-${action.value}.PINION_RECORD_SHA256}", type = "PLAINTEXT" }])
          }
        }
      }

      action {
        name            = "deploy"
        category        = "Build"
        owner           = "AWS"
        provider        = "CodeBuild"
        version         = "1"
        input_artifacts = ["source"]
        run_order       = 3

        configuration = {
          ProjectName          = aws_codebuild_project.this["deploy-${stage.value}"].name
          EnvironmentVariables = local.deploy_variables[stage.value]
        }
      }

      # After it: what goes back is what has gone forth here, and passed the approval.
      action {
        name            = "keep-source"
        category        = "Deploy"
        owner           = "AWS"
        provider        = "S3"
        version         = "1"
        input_artifacts = ["source"]
        run_order       = 4

        configuration = {
          BucketName          = aws_s3_bucket.this["pipeline"].id
          ObjectKey           = local.source_objects[stage.value]
          Extract             = "false"
          KMSEncryptionKeyARN = aws_kms_key.bucket["pipeline"].arn
        }
      }
    }
  }

  depends_on = [aws_iam_role_policy.this]
}
