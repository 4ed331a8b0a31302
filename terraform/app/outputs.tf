output "artifacts" {
  description = "`artifacts` of every terraform/environment."
  value       = { bucket = aws_s3_bucket.this["artifacts"].id, key_arn = aws_kms_key.bucket["artifacts"].arn }
}

output "pipeline" {
  description = "`pipeline` of every terraform/environment: where its projects find their source."
  value       = { bucket = aws_s3_bucket.this["pipeline"].id, key_arn = aws_kms_key.bucket["pipeline"].arn }
}

output "topic_arn" {
  description = "Where failures and approvals are told; an environment may name it in alarms.topic_arns."
  value       = aws_sns_topic.pipelines.arn
}

output "role_arns" {
  description = "The roles of the app's own pipelines and build projects."
  value       = { for role in keys(local.services) : role => aws_iam_role.this[role].arn }
}

output "rollback_projects" {
  description = "What goes back, by environment: aws codebuild start-build --project-name NAME."
  value       = { for name in local.order : name => aws_codebuild_project.rollback[name].name }
}
