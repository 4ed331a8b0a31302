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
