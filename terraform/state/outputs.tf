output "bucket" {
  description = "The bucket that every backend file names."
  value       = aws_s3_bucket.state.id
}

output "key_arn" {
  description = "The key of its objects: plan and apply must be allowed to use it."
  value       = aws_kms_key.state.arn
}
