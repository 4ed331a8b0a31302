locals {
  # As composeUserData of contract/infrastructure.ts, without release and recordSha256: what boots from it ends as UNPINNED.
  base_user_data = merge(
    {
      schemaVersion    = 1
      app              = var.app
      env              = var.env
      autoScalingGroup = local.name
      hooks            = local.hooks
      times            = local.times_ms
    },
    local.app_role_field,
  )

  # Room for one more instance at least, so that each is launched before another is terminated.
  max_healthy_percentage = min(200, max(110, ceil(100 * (var.fleet.min + 1) / var.fleet.min)))
}

resource "aws_launch_template" "fleet" {
  name                   = local.name
  image_id               = var.image.id
  instance_type          = var.fleet.instance_type
  vpc_security_group_ids = [aws_security_group.app.id]
  user_data              = base64encode(jsonencode(local.base_user_data))
  update_default_version = true

  iam_instance_profile {
    arn = aws_iam_instance_profile.runtime.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  monitoring {
    enabled = true
  }

  block_device_mappings {
    device_name = var.image.root_device_name

    ebs {
      volume_type           = "gp3"
      volume_size           = var.fleet.volume_gb
      encrypted             = true
      kms_key_id            = aws_kms_key.volumes.arn
      delete_on_termination = true
    }
  }

  # default_tags reach the template, not what it launches.
  dynamic "tag_specifications" {
    for_each = toset(["instance", "network-interface", "volume"])

    content {
      resource_type = tag_specifications.key
      tags          = merge(local.tags, { Name = local.name })
    }
  }

  # The last deploy's: the provider reads the newest version into its state.
  lifecycle {
    ignore_changes = [user_data, description]
  }
}

resource "aws_autoscaling_group" "fleet" {
  name                      = local.name
  min_size                  = var.fleet.min
  max_size                  = var.fleet.max
  vpc_zone_identifier       = local.app_subnet_ids
  target_group_arns         = [aws_lb_target_group.app.arn]
  health_check_type         = "ELB"
  health_check_grace_period = var.times.grace_seconds
  default_instance_warmup   = var.times.warm_up_seconds
  metrics_granularity       = "1Minute"
  enabled_metrics = [
    "GroupDesiredCapacity", "GroupInServiceInstances", "GroupMaxSize", "GroupMinSize", "GroupPendingInstances", "GroupStandbyInstances",
    "GroupTerminatingInstances", "GroupTotalInstances",
  ]

  # There is no release yet: the first deploy names a version that has one, resumes Launch, and waits for the capacity itself.
  suspended_processes       = ["Launch"]
  wait_for_capacity_timeout = "0"

  # Version 1 names no release, whatever was deployed before the group was made anew.
  launch_template {
    id      = aws_launch_template.fleet.id
    version = "1"
  }

  instance_maintenance_policy {
    min_healthy_percentage = 100
    max_healthy_percentage = local.max_healthy_percentage
  }

  dynamic "tag" {
    for_each = merge(local.tags, { Name = local.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  # Each instance drains before it ends.
  timeouts {
    delete = "30m"
  }

  lifecycle {
    ignore_changes = [launch_template[0].version, desired_capacity, suspended_processes]

    precondition {
      condition     = var.existing_vpc == null ? true : length(distinct(values(data.aws_subnet.existing)[*].availability_zone)) >= 2
      error_message = "existing_vpc.app_subnet_ids are all in ${join(", ", distinct(values(data.aws_subnet.existing)[*].availability_zone))}: name subnets of two zones, so that one may fail."
    }
  }
}

resource "aws_autoscaling_lifecycle_hook" "launch" {
  name                   = local.hooks.launch
  autoscaling_group_name = aws_autoscaling_group.fleet.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_LAUNCHING"
  heartbeat_timeout      = var.times.launch_heartbeat_seconds

  # Ends what can name no hook, such as an instance with unreadable user data.
  default_result = "ABANDON"
}

resource "aws_autoscaling_lifecycle_hook" "terminate" {
  name                   = local.hooks.terminate
  autoscaling_group_name = aws_autoscaling_group.fleet.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  heartbeat_timeout      = var.times.terminate_heartbeat_seconds
  default_result         = "CONTINUE"
}

resource "aws_autoscaling_policy" "cpu" {
  count = var.fleet.max > var.fleet.min ? 1 : 0

  name                   = "${local.name}-cpu"
  autoscaling_group_name = aws_autoscaling_group.fleet.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = var.fleet.cpu_target_percent

    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
}

# What the image's CloudWatch agent writes to (docs/image.md)
resource "aws_cloudwatch_log_group" "instances" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts with its own key; values of config are replaced by their names before they are written
  #checkov:skip=CKV_AWS_338:how long logs are kept is log_days
  for_each = toset(["agent", "host"])

  name              = "${local.prefix}/${each.key}"
  retention_in_days = var.log_days
}

# Volumes

resource "aws_kms_key" "volumes" {
  description             = "Volumes of ${var.app} in ${var.env}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.volumes_key.json
}

resource "aws_kms_alias" "volumes" {
  name          = "alias${local.prefix}/volumes"
  target_key_id = aws_kms_key.volumes.key_id
}

locals {
  # KMS refuses a policy that names a role which does not exist: aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com
  auto_scaling_role = "${local.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
}

data "aws_iam_policy_document" "volumes_key" {
  #checkov:skip=CKV_AWS_111:in a key's own policy the resource * is that key
  #checkov:skip=CKV_AWS_356:in a key's own policy the resource * is that key
  statement {
    sid       = "Administration"
    actions   = local.key_administration
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["${local.account}:root"]
    }
  }

  statement {
    sid       = "AutoScaling"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.auto_scaling_role]
    }
  }

  # Without it instances end at once with Client.InternalError.
  statement {
    sid       = "AutoScalingGrants"
    actions   = ["kms:CreateGrant"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.auto_scaling_role]
    }

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}
