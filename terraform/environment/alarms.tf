locals {
  # Generated from contract/metrics.ts, of which the agent sends the same names.
  pinion         = jsondecode(file("${path.module}/metrics.json"))
  pinion_metrics = local.pinion.metrics
  environment    = { App = var.app, Env = var.env }

  balancer_dimensions = { LoadBalancer = aws_lb.app.arn_suffix }
  target_dimensions   = { LoadBalancer = aws_lb.app.arn_suffix, TargetGroup = aws_lb_target_group.app.arn_suffix }

  # Each rolls a deploy back. One that is not OK also keeps the next deploy from beginning: windows are short.
  alarms = {
    balancer-5xx = {
      says       = "The load balancer itself answers with errors: no healthy instance, or one that closes connections"
      namespace  = "AWS/ApplicationELB"
      metric     = "HTTPCode_ELB_5XX_Count"
      dimensions = local.balancer_dimensions
      statistic  = "Sum"
      period     = 60
      periods    = 2
      threshold  = var.alarms.balancer_5xx
    }
    target-5xx = {
      says       = "The app answers with errors"
      namespace  = "AWS/ApplicationELB"
      metric     = "HTTPCode_Target_5XX_Count"
      dimensions = local.target_dimensions
      statistic  = "Sum"
      period     = 60
      periods    = 2
      threshold  = var.alarms.target_5xx
    }
    unhealthy-hosts = {
      says       = "An instance that took traffic is not ready any more: /readyz and the log say why"
      namespace  = "AWS/ApplicationELB"
      metric     = "UnHealthyHostCount"
      dimensions = local.target_dimensions
      statistic  = "Maximum"
      period     = 60
      periods    = 3
      threshold  = 1
    }
    latency-p95 = {
      says       = "One answer in twenty takes longer than alarms.latency_p95_seconds"
      namespace  = "AWS/ApplicationELB"
      metric     = "TargetResponseTime"
      dimensions = local.target_dimensions
      statistic  = "p95"
      period     = 60
      periods    = 5
      threshold  = var.alarms.latency_p95_seconds
    }
    boot-failures = {
      says       = "Instances end without a release to serve: pinion status says why"
      namespace  = local.pinion.namespace
      metric     = local.pinion_metrics.BootFailures.name
      dimensions = local.environment
      statistic  = "Sum"
      period     = 300
      periods    = 1
      threshold  = var.alarms.boot_failures
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "deploy" {
  for_each = local.alarms

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = each.value.period
  evaluation_periods  = each.value.periods
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanOrEqualToThreshold"
  alarm_actions       = var.alarms.topic_arns
  ok_actions          = var.alarms.topic_arns

  # A refresh is refused while one of its alarms has too little data.
  treat_missing_data = "notBreaching"

  # Four requests a minute say nothing of the twentieth.
  evaluate_low_sample_count_percentiles = startswith(each.value.statistic, "p") ? "ignore" : null
}
