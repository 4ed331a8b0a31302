locals {
  # A pipeline that fails says so itself, whatever in it failed; rollbacks have none.
  failures = merge(
    { pipelines = {
      source      = ["aws.codepipeline"]
      detail-type = ["CodePipeline Pipeline Execution State Change"]
      detail      = { pipeline = [for pipeline in keys(local.pipelines) : "${local.name}-${pipeline}"], state = ["FAILED"] }
    } },
    length(local.order) == 0 ? {} : { rollbacks = {
      source      = ["aws.codebuild"]
      detail-type = ["CodeBuild Build State Change"]
      detail      = { project-name = [for name in local.order : "${local.name}-rollback-${name}"], build-status = ["FAILED", "FAULT", "STOPPED", "TIMED_OUT"] }
    } },
  )
}

resource "aws_sns_topic" "pipelines" {
  #checkov:skip=CKV_AWS_26:which pipeline failed, and what waits for approval, is no secret; Amazon's own key for topics lets no event through
  name = "${local.name}-pipelines"
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.notify_emails)

  topic_arn = aws_sns_topic.pipelines.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_sns_topic_policy" "pipelines" {
  arn    = aws_sns_topic.pipelines.arn
  policy = data.aws_iam_policy_document.topic.json
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "Failures"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.pipelines.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [for rule in aws_cloudwatch_event_rule.failed : rule.arn]
    }
  }

  # An environment may name this topic in its alarms.topic_arns.
  statement {
    sid       = "Alarms"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.pipelines.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["${local.regional.cloudwatch}:alarm:${local.name}-*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

resource "aws_cloudwatch_event_rule" "failed" {
  for_each = local.failures

  name          = "${local.name}-failed-${each.key}"
  description   = "${var.app}: ${each.key} that failed"
  event_pattern = jsonencode(each.value)
}

resource "aws_cloudwatch_event_target" "failed" {
  for_each = local.failures

  rule = aws_cloudwatch_event_rule.failed[each.key].name
  arn  = aws_sns_topic.pipelines.arn
}
