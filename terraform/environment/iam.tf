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

  pipeline_objects    = var.pipeline == null ? [] : ["arn:${local.partition}:s3:::${var.pipeline.bucket}/*"]
  pipeline_keys       = var.pipeline == null ? [] : [var.pipeline.key_arn]
  pipeline_connection = compact([try(var.pipeline.connection_arn, null)])

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
      { actions = ["codeconnections:GetConnectionToken", "codeconnections:UseConnection"], resources = local.pipeline_connection },
    ]
    deploy = [
      { actions = ["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters"], resources = [local.release_arn, local.config_arn, local.document_arn] },
      { actions = ["ssm:LabelParameterVersion"], resources = [local.release_arn] },
      { actions = ["s3:GetObject", "s3:GetObjectVersion"], resources = concat([local.artifact_objects], local.pipeline_objects) },
      { actions = ["s3:ListBucket"], resources = [local.artifact_bucket] },
      { actions = ["kms:Decrypt"], resources = concat(local.artifact_keys, local.pipeline_keys) },
      { actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = local.project_logs.deploy },
      { actions = ["codeconnections:GetConnectionToken", "codeconnections:UseConnection"], resources = local.pipeline_connection },
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
}

# Runtime: the agent

# EC2 gives no source to compare when it takes the role of an instance profile: who may pass the role is the gate.
data "aws_iam_policy_document" "runtime_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "runtime" {
  name                 = "${local.name}-runtime"
  description          = "Agent on the instances of ${var.app} in ${var.env}"
  assume_role_policy   = data.aws_iam_policy_document.runtime_trust.json
  permissions_boundary = aws_iam_policy.boundary["runtime"].arn
}

resource "aws_iam_instance_profile" "runtime" {
  name = "${local.name}-runtime"
  role = aws_iam_role.runtime.name
}

data "aws_iam_policy_document" "runtime" {
  source_policy_documents = [data.aws_iam_policy_document.no_deletion.json]

  statement {
    sid       = "ReadRecord"
    actions   = ["ssm:GetParameter"]
    resources = [local.release_arn]
  }

  statement {
    sid       = "ReadConfig"
    actions   = ["ssm:GetParameters"]
    resources = [local.config_arn]
  }

  statement {
    sid       = "DecryptConfig"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.config.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["ssm.${var.region}.${local.dns_suffix}"]
    }

    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:PARAMETER_ARN"
      values   = [local.config_arn]
    }
  }

  statement {
    sid       = "ReadArtifacts"
    actions   = ["s3:GetObjectVersion"]
    resources = [local.artifact_objects]
  }

  dynamic "statement" {
    for_each = local.artifact_keys

    content {
      sid       = "DecryptArtifacts"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${var.region}.${local.dns_suffix}"]
      }
    }
  }

  statement {
    sid       = "AnswerHooks"
    actions   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
    resources = [local.group_arn]
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = local.log_stream_arns
  }

  # PutMetricData knows no resource but the namespace of its condition.
  statement {
    sid       = "SendMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = local.pinion_spaces
    }
  }

  # Session Manager, without AmazonSSMManagedInstanceCore, which reads every parameter of the account.
  statement {
    sid       = "SessionManager"
    actions   = ["ssm:UpdateInstanceInformation"]
    resources = ["${local.ec2_arn}:instance/*"]
  }

  # The channels know no resource (Service Authorization Reference).
  statement {
    sid       = "SessionManagerChannels"
    actions   = local.endpoints.ssmmessages
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = aws_iam_role.app[*].arn

    content {
      sid       = "AppRole"
      actions   = ["sts:AssumeRole"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "runtime" {
  name   = "runtime"
  role   = aws_iam_role.runtime.id
  policy = data.aws_iam_policy_document.runtime.json
}

# App: what the app itself may do; only the agent can take this role, and hands it on

data "aws_iam_policy_document" "app_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.runtime.arn]
    }
  }
}

resource "aws_iam_role" "app" {
  count = var.app_role == null ? 0 : 1

  name                 = "${local.name}-app"
  description          = "The app ${var.app} in ${var.env}"
  assume_role_policy   = data.aws_iam_policy_document.app_trust.json
  permissions_boundary = one(aws_iam_policy.app_boundary[*].arn)
}

data "aws_iam_policy_document" "app" {
  source_policy_documents = [data.aws_iam_policy_document.no_deletion.json]

  dynamic "statement" {
    for_each = var.app_role == null ? [] : var.app_role.statements

    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

resource "aws_iam_role_policy" "app" {
  count = var.app_role == null ? 0 : 1

  name   = "app"
  role   = one(aws_iam_role.app[*].id)
  policy = data.aws_iam_policy_document.app.json
}

# Whatever is allowed later: nothing that builds, deploys or holds the infrastructure. In a Deny the * of an action only takes more away.
data "aws_iam_policy_document" "app_boundary" {
  source_policy_documents = [data.aws_iam_policy_document.app.json]

  statement {
    sid       = "NoControl"
    effect    = "Deny"
    actions   = [for service in local.control_services : "${service}:*"]
    resources = ["*"]
  }

  statement {
    sid       = "NoArtifacts"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.artifact_bucket, "${local.artifact_bucket}/*"]
  }
}

resource "aws_iam_policy" "app_boundary" {
  count = var.app_role == null ? 0 : 1

  name        = "${local.name}-app-boundary"
  description = "The most that the role ${local.name}-app may do"
  policy      = data.aws_iam_policy_document.app_boundary.json
}

# Release and deploy: CodeBuild

data "aws_iam_policy_document" "project_trust" {
  for_each = local.project_arns

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["codebuild.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = each.value
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

data "aws_iam_policy_document" "project" {
  for_each = local.projects

  source_policy_documents = [data.aws_iam_policy_document.no_deletion.json]

  statement {
    sid       = "WriteBuildLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = local.project_logs[each.key]
  }

  statement {
    sid       = "ReadDocument"
    actions   = ["ssm:GetParameter"]
    resources = [local.document_arn]
  }

  # Versions of config, no values: those of a SecureString stay encrypted.
  statement {
    sid       = "ReadConfigVersions"
    actions   = ["ssm:GetParameters"]
    resources = [local.config_arn]
  }

  # HeadObject; without ListBucket what is missing looks like what is forbidden.
  statement {
    sid       = "SeeArtifacts"
    actions   = ["s3:GetObjectVersion"]
    resources = [local.artifact_objects]
  }

  statement {
    sid       = "SeeMissingArtifacts"
    actions   = ["s3:ListBucket"]
    resources = [local.artifact_bucket]
  }

  dynamic "statement" {
    for_each = length(local.pipeline_objects) > 0 ? [local.pipeline_objects] : []

    content {
      sid       = "ReadSource"
      actions   = ["s3:GetObject", "s3:GetObjectVersion"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = length(concat(local.artifact_keys, local.pipeline_keys)) > 0 ? [concat(local.artifact_keys, local.pipeline_keys)] : []

    content {
      sid       = "DecryptObjects"
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${var.region}.${local.dns_suffix}"]
      }
    }
  }

  dynamic "statement" {
    for_each = length(local.pipeline_connection) > 0 ? [local.pipeline_connection] : []

    content {
      sid       = "CloneSource"
      actions   = ["codeconnections:GetConnectionToken", "codeconnections:UseConnection"]
      resources = statement.value
    }
  }
}

resource "aws_iam_role" "release" {
  name                 = "${local.name}-release"
  description          = "Writes releases of ${var.app} for ${var.env}"
  assume_role_policy   = data.aws_iam_policy_document.project_trust["release"].json
  permissions_boundary = aws_iam_policy.boundary["release"].arn
}

data "aws_iam_policy_document" "release" {
  source_policy_documents = [data.aws_iam_policy_document.project["release"].json]

  # The record just written is read back.
  statement {
    sid       = "WriteRecord"
    actions   = ["ssm:GetParameter", "ssm:PutParameter"]
    resources = [local.release_arn]
  }

  statement {
    sid       = "ReadRecords"
    actions   = ["ssm:GetParameter", "ssm:GetParameterHistory"]
    resources = concat([local.release_arn], local.source_release)
  }
}

resource "aws_iam_role_policy" "release" {
  name   = "release"
  role   = aws_iam_role.release.id
  policy = data.aws_iam_policy_document.release.json
}

resource "aws_iam_role" "deploy" {
  name                 = "${local.name}-deploy"
  description          = "Rolls releases of ${var.app} out to ${var.env}, and back"
  assume_role_policy   = data.aws_iam_policy_document.project_trust["deploy"].json
  permissions_boundary = aws_iam_policy.boundary["deploy"].arn
}

data "aws_iam_policy_document" "deploy" {
  source_policy_documents = [data.aws_iam_policy_document.project["deploy"].json]

  statement {
    sid       = "ReadRecords"
    actions   = ["ssm:GetParameter", "ssm:GetParameterHistory"]
    resources = [local.release_arn]
  }

  # Labels, never a value.
  statement {
    sid       = "MarkLive"
    actions   = ["ssm:LabelParameterVersion"]
    resources = [local.release_arn]
  }

  # Describe actions know no resource (Service Authorization Reference); DescribeAlarms gives composite alarms to * alone (CloudWatch API Reference).
  statement {
    sid       = "Look"
    actions   = local.describe_actions
    resources = ["*"]
  }

  statement {
    sid       = "ReadConsoles"
    actions   = ["ec2:GetConsoleOutput"]
    resources = ["${local.ec2_arn}:instance/*"]

    condition {
      test     = "ArnEquals"
      variable = "ec2:InstanceProfile"
      values   = [aws_iam_instance_profile.runtime.arn]
    }
  }

  # No ModifyLaunchTemplate: the default version stays Terraform's.
  statement {
    sid       = "MakeTemplateVersion"
    actions   = ["ec2:CreateLaunchTemplateVersion"]
    resources = [local.template_arn]
  }

  statement {
    sid       = "Refresh"
    actions   = setsubtract(local.group_actions, ["autoscaling:UpdateAutoScalingGroup"])
    resources = [local.group_arn]
  }

  # First deploy: a numbered version and nothing else that has a condition key.
  statement {
    sid       = "NameTemplateVersion"
    actions   = ["autoscaling:UpdateAutoScalingGroup"]
    resources = [local.group_arn]

    condition {
      test     = "Bool"
      variable = "autoscaling:LaunchTemplateVersionSpecified"
      values   = ["true"]
    }

    dynamic "condition" {
      for_each = toset(["LaunchConfigurationName", "MaxSize", "MinSize", "VPCZoneIdentifiers"])

      content {
        test     = "Null"
        variable = "autoscaling:${condition.key}"
        values   = ["true"]
      }
    }
  }

  # Auto Scaling asks for these in the caller's name before it begins: whatever a template version says, nothing else can be launched.
  statement {
    sid       = "LaunchFromTemplate"
    actions   = ["ec2:RunInstances"]
    resources = [local.template_arn]
  }

  statement {
    sid     = "LaunchInPlace"
    actions = ["ec2:RunInstances"]
    resources = concat(
      [for id in local.app_subnet_ids : "${local.ec2_arn}:subnet/${id}"],
      [aws_security_group.app.arn, "${local.ec2_arn}:network-interface/*"],
    )

    condition {
      test     = "ArnEquals"
      variable = "ec2:LaunchTemplate"
      values   = [local.template_arn]
    }
  }

  # Images that packer/ baked in this account.
  statement {
    sid       = "LaunchOurImages"
    actions   = ["ec2:RunInstances"]
    resources = [local.image_arn]

    condition {
      test     = "ArnEquals"
      variable = "ec2:LaunchTemplate"
      values   = [local.template_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "ec2:Owner"
      values   = [var.account_id]
    }

    condition {
      test     = "Null"
      variable = "ec2:ResourceTag/PinionVersion"
      values   = ["false"]
    }
  }

  statement {
    sid       = "LaunchWithProfile"
    actions   = ["ec2:RunInstances"]
    resources = ["${local.ec2_arn}:instance/*"]

    condition {
      test     = "ArnEquals"
      variable = "ec2:LaunchTemplate"
      values   = [local.template_arn]
    }

    condition {
      test     = "ArnEquals"
      variable = "ec2:InstanceProfile"
      values   = [aws_iam_instance_profile.runtime.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "ec2:MetadataHttpTokens"
      values   = ["required"]
    }
  }

  statement {
    sid       = "LaunchEncrypted"
    actions   = ["ec2:RunInstances"]
    resources = ["${local.ec2_arn}:volume/*"]

    condition {
      test     = "ArnEquals"
      variable = "ec2:LaunchTemplate"
      values   = [local.template_arn]
    }

    condition {
      test     = "Bool"
      variable = "ec2:Encrypted"
      values   = ["true"]
    }
  }

  statement {
    sid       = "TagWhatIsLaunched"
    actions   = ["ec2:CreateTags"]
    resources = ["${local.ec2_arn}:instance/*", "${local.ec2_arn}:network-interface/*", "${local.ec2_arn}:volume/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances"]
    }
  }

  statement {
    sid       = "PassRuntimeRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.runtime.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.deploy.id
  policy = data.aws_iam_policy_document.deploy.json
}
