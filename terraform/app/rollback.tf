# Outside of every pipeline, behind no approval and no queue, and from what is kept in S3: the way back needs no repository.
#   aws codebuild start-build --project-name pinion-APP-rollback-ENV
resource "aws_codebuild_project" "rollback" {
  for_each = local.environments

  name           = "${local.name}-rollback-${each.key}"
  description    = "Goes back to the release of ${var.app} that was live before in ${each.key}, or to PINION_RELEASE"
  service_role   = local.environment_roles[each.key].deploy
  encryption_key = aws_kms_key.bucket["pipeline"].arn
  build_timeout  = local.deploy_minutes[each.key]

  source {
    type      = "S3"
    location  = "${aws_s3_bucket.this["pipeline"].id}/${local.source_objects[each.key]}"
    buildspec = file("${local.buildspecs}/rollback.yml")
  }

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type         = "LINUX_CONTAINER"
    compute_type = "BUILD_GENERAL1_SMALL"
    image        = var.build_image

    dynamic "environment_variable" {
      for_each = merge(local.pinion_variables, { PINION_ENV = each.key })

      content {
        name  = environment_variable.key
        value = environment_variable.value
      }
    }
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.builds["rollback-${each.key}"].name
    }
  }
}
