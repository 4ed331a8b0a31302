# All that a deploy may rely on, as contract/infrastructure.ts has it: what stands in it exists.
resource "aws_ssm_parameter" "infrastructure" {
  #checkov:skip=CKV2_AWS_34:names and times, no secret; deploy and release read it without a key
  name        = "${local.prefix}/infrastructure"
  description = "What deploys of ${var.app} to ${var.env} rely on"
  type        = "String"

  value = jsonencode(merge(
    {
      schemaVersion    = 1
      autoScalingGroup = aws_autoscaling_group.fleet.name
      launchTemplateId = aws_launch_template.fleet.id
      targetGroupArn   = aws_lb_target_group.app.arn
      loadBalancerUrl  = local.load_balancer_url
      artifactBucket   = var.artifacts.bucket
      alarms           = [for alarm in aws_cloudwatch_metric_alarm.deploy : alarm.alarm_name]
      hooks            = local.hooks
      times            = local.times_ms
    },
    local.app_role_field,
  ))

  depends_on = [
    aws_autoscaling_lifecycle_hook.launch,
    aws_autoscaling_lifecycle_hook.terminate,
    aws_autoscaling_policy.cpu,
    aws_cloudwatch_log_group.instances,
    aws_iam_role_policy.app,
    aws_iam_role_policy.deploy,
    aws_iam_role_policy.release,
    aws_iam_role_policy.runtime,
    aws_kms_alias.config,
    aws_lb_listener.http_only,
    aws_lb_listener.https,
    aws_lb_listener.redirect,
    aws_route.internet,
    aws_route.nat,
    aws_route53_record.app,
    aws_route_table_association.app,
    aws_route_table_association.balancer,
    aws_vpc_endpoint.interface,
    aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.app_by_nat,
    aws_vpc_security_group_egress_rule.app_egress,
    aws_vpc_security_group_egress_rule.app_to_endpoints,
    aws_vpc_security_group_egress_rule.app_to_s3,
    aws_vpc_security_group_egress_rule.balancer,
    aws_vpc_security_group_ingress_rule.app,
    aws_vpc_security_group_ingress_rule.balancer,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}
