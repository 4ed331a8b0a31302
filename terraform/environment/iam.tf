# Four roles: the agent's, the app's own, and those of two pipeline stages. What each may do stands in its policy; the most that any later policy
# could add stands in its boundary: the same actions on this environment, and no deletion of what releases need.

locals {
  group_arn       = aws_autoscaling_group.fleet.arn
  group_pattern   = "arn:${local.partition}:autoscaling:${var.region}:${var.account_id}:autoScalingGroup:*:autoScalingGroupName/${local.name}"
  template_arn    = aws_launch_template.fleet.arn
  ec2_arn         = "arn:${local.partition}:ec2:${var.region}:${var.account_id}"
  image_arn       = "arn:${local.partition}:ec2:${var.region}::image/*"
  log_stream_arns = [for group in aws_cloudwatch_log_group.instances : "${group.arn}:log-stream:*"]
  pinion_spaces   = [local.pinion.namespace, "${local.pinion.namespace}/Host"]

  # Services through which an app could reach the infrastructure, the state or other identities.
  control_services = [
    "account", "autoscaling", "cloudformation", "codebuild", "codeconnections", "codepipeline", "ec2", "elasticloadbalancing", "iam", "kms", "organizations",
    "ssm", "ssmmessages", "sso", "sts",
  ]

  # CodeBuild's own needs: its log, and the pipeline's artifact.
  projects = {
    deploy  = ["pinion-${var.app}-deploy-${var.env}", "pinion-${var.app}-rollback-${var.env}"]
    release = ["pinion-${var.app}-release-${var.env}"]
  }
  project_arns = { for role, names in local.projects : role => [for name in names : "arn:${local.partition}:codebuild:${var.region}:${var.account_id}:project/${name}"] }
  project_logs = { for role, names in local.projects : role => [for name in names : "arn:${local.partition}:logs:${var.region}:${var.account_id}:log-group:/aws/codebuild/${name}:log-stream:*"] }

  pipeline_objects = var.pipeline == null ? [] : ["arn:${local.partition}:s3:::${var.pipeline.bucket}/*"]
  pipeline_keys    = var.pipeline == null ? [] : [var.pipeline.key_arn]

  # By name and pattern, since a role comes after its boundary and before the group.
  ceilings = {
    runtime = [
      { actions = ["ssm:GetParameter", "ssm:GetParameters"], resources = [local.release_arn, local.config_arn] },
      { actions = ["s3:GetObjectVersion"], resources = [local.artifact_objects] },
      { actions = ["kms:Decrypt"], resources = concat([aws_kms_key.config.arn], local.artifact_keys) },
      { actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = local.log_stream_arns },
      { actions = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"], resources = [local.group_pattern] },
      { actions = ["ssm:UpdateInstanceInformation"], resources = ["${local.ec2_arn}:instance/*"] },
      # These know no resource (Service Authorization Reference).
      { actions = concat(["cloudwatch:PutMetricData"], local.endpoints.ssmmessages), resources = ["*"] },
      { actions = ["sts:AssumeRole"], resources = ["${local.account}:role/${local.name}-app"] },
    ]
    release = [
      { actions = ["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters"], resources = concat([local.release_arn, local.config_arn, local.document_arn], local.source_release) },
      { actions = ["ssm:PutParameter"], resources = [local.release_arn] },
      { actions = ["s3:GetObject", "s3:GetObjectVersion"], resources = concat([local.artifact_objects], local.pipeline_objects) },
      { actions = ["s3:ListBucket"], resources = [local.artifact_bucket] },
      { actions = ["kms:Decrypt"], resources = concat(local.artifact_keys, local.pipeline_keys) },
      { actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = local.project_logs.release },
    ]
    deploy = [
      { actions = ["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters"], resources = [local.release_arn, local.config_arn, local.document_arn] },
      { actions = ["ssm:LabelParameterVersion"], resources = [local.release_arn] },
      { actions = ["s3:GetObject", "s3:GetObjectVersion"], resources = concat([local.artifact_objects], local.pipeline_objects) },
      { actions = ["s3:ListBucket"], resources = [local.artifact_bucket] },
      { actions = ["kms:Decrypt"], resources = concat(local.artifact_keys, local.pipeline_keys) },
      { actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = local.project_logs.deploy },
      { actions = ["ec2:CreateLaunchTemplateVersion"], resources = ["${local.ec2_arn}:launch-template/*"] },
      { actions = ["ec2:CreateTags", "ec2:GetConsoleOutput", "ec2:RunInstances"], resources = ["${local.ec2_arn}:*", local.image_arn] },
      { actions = ["iam:PassRole"], resources = ["${local.account}:role/${local.name}-runtime"] },
      { actions = local.group_actions, resources = [local.group_pattern] },
      # These know no resource (Service Authorization Reference); DescribeAlarms gives composite alarms to * alone (CloudWatch API Reference).
      { actions = local.describe_actions, resources = ["*"] },
    ]
  }

  group_actions = [
    "autoscaling:ResumeProcesses", "autoscaling:RollbackInstanceRefresh", "autoscaling:StartInstanceRefresh", "autoscaling:SuspendProcesses",
    "autoscaling:UpdateAutoScalingGroup",
  ]
  describe_actions = [
    "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeInstanceRefreshes", "autoscaling:DescribeLifecycleHooks", "cloudwatch:DescribeAlarms",
    "ec2:DescribeInstances", "ec2:DescribeLaunchTemplateVersions", "ec2:DescribeLaunchTemplates", "ec2:DescribeSecurityGroups",
    "elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
  ]
}

# Deleted and made again, a parameter counts from version 1: a release number would name another record.
data "aws_iam_policy_document" "no_deletion" {
  statement {
    sid       = "NoDeletion"
    effect    = "Deny"
    actions   = ["ssm:DeleteParameter", "ssm:DeleteParameters"]
    resources = ["${local.parameter_arn}/pinion/*/release", "${local.parameter_arn}/pinion/*/config/*"]
  }
}

# Boundaries

data "aws_iam_policy_document" "boundary" {
  for_each = local.ceilings

  source_policy_documents = [data.aws_iam_policy_document.no_deletion.json]

  dynamic "statement" {
    for_each = [for statement in each.value : statement if length(statement.resources) > 0]

    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

resource "aws_iam_policy" "boundary" {
  for_each = local.ceilings

  name        = "${local.name}-${each.key}-boundary"
  description = "The most that the role ${local.name}-${each.key} may do"
  policy      = data.aws_iam_policy_document.boundary[each.key].json

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.boundary[each.key].minified_json) <= 6144
      error_message = "The policy ${local.name}-${each.key}-boundary has ${length(data.aws_iam_policy_document.boundary[each.key].minified_json)} characters, and IAM takes 6,144: give the app or the environment a shorter name."
    }
  }
}
