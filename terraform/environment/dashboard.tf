locals {
  statistics = { count = "Sum", statistics = "Maximum", gauge = "Average" }

  pinion_widgets = [
    for metric in local.pinion_metrics : {
      title   = "${metric.name} (${local.statistics[metric.kind]}, ${metric.unit})"
      metrics = [[local.pinion.namespace, metric.name, "App", var.app, "Env", var.env]]
      stat    = local.statistics[metric.kind]
    } if metric.search == ""
  ]

  # What is only sent with a further dimension is searched for: the values of that are the agent's.
  search_widgets = [
    for metric in local.pinion_metrics : {
      title   = "${metric.name} by ${metric.search} (${local.statistics[metric.kind]}, ${metric.unit})"
      metrics = [[{ expression = "SEARCH('{${local.pinion.namespace},App,Env,${metric.search}} MetricName=\"${metric.name}\" App=\"${var.app}\" Env=\"${var.env}\"', '${local.statistics[metric.kind]}', 60)" }]]
      stat    = local.statistics[metric.kind]
    } if metric.search != ""
  ]

  alarm_widgets = [
    for name, alarm in local.alarms : {
      title   = name
      metrics = [concat([alarm.namespace, alarm.metric], flatten([for dimension, value in alarm.dimensions : [dimension, value]]))]
      stat    = alarm.statistic
    }
  ]

  fleet_widgets = [
    {
      title   = "Instances"
      metrics = [for metric in ["GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances"] : ["AWS/AutoScaling", metric, "AutoScalingGroupName", local.name]]
      stat    = "Average"
    },
    {
      title   = "Requests"
      metrics = [["AWS/ApplicationELB", "RequestCount", "LoadBalancer", aws_lb.app.arn_suffix]]
      stat    = "Sum"
    },
  ]

  widgets = concat(local.fleet_widgets, local.alarm_widgets, local.search_widgets, local.pinion_widgets)
}

resource "aws_cloudwatch_dashboard" "environment" {
  dashboard_name = local.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type   = "alarm"
        x      = 0
        y      = 0
        width  = 24
        height = 2
        properties = {
          title  = "What rolls a deploy back"
          alarms = [for alarm in aws_cloudwatch_metric_alarm.deploy : alarm.arn]
        }
      }],
      [for place, widget in local.widgets : {
        type   = "metric"
        x      = 8 * (place % 3)
        y      = 2 + 6 * floor(place / 3)
        width  = 8
        height = 6
        properties = {
          region  = var.region
          title   = widget.title
          metrics = widget.metrics
          stat    = widget.stat
          period  = 60
        }
      }],
    )
  })
}
