output "infrastructure_parameter" {
  description = "The parameter from which deploys take every name."
  value       = aws_ssm_parameter.infrastructure.name
}

output "load_balancer_url" {
  description = "Where the app answers."
  value       = local.load_balancer_url
}

output "load_balancer_dns_name" {
  description = "What the app's name must point to, where Terraform does not enter it."
  value       = aws_lb.app.dns_name
}

output "network" {
  description = "The VPC and its private subnets; with egress `nat` an image can be baked there (docs/image.md)."
  value       = { vpc_id = local.vpc_id, app_subnet_ids = local.app_subnet_ids }
}

output "role_arns" {
  description = "The roles of this environment; deploy and release are those of its CodeBuild projects."
  value = {
    runtime = aws_iam_role.runtime.arn
    app     = one(aws_iam_role.app[*].arn)
    release = aws_iam_role.release.arn
    deploy  = aws_iam_role.deploy.arn
  }
}

output "config_key_arn" {
  description = "The key for SecureString values of config."
  value       = aws_kms_key.config.arn
}

output "dashboard" {
  description = "Name of the CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.environment.dashboard_name
}
