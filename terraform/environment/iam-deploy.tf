# Deploy: rolls releases out, and changes nothing else

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

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.deploy.minified_json) <= 10240
      error_message = "The policy of ${local.name}-deploy has ${length(data.aws_iam_policy_document.deploy.minified_json)} characters, and IAM takes 10,240: give the app or the environment a shorter name."
    }
  }
}
