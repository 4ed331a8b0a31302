locals {
  now      = timestamp()
  ami_name = "pinion-${var.version}-${formatdate("YYYYMMDD-hhmmss", local.now)}"

  tags = {
    Name          = local.ami_name
    PinionVersion = var.version
    PinionCommit  = var.commit
    SourceAmi     = "{{ .SourceAMI }}"
    SourceAmiName = "{{ .SourceAMIName }}"
    BakedAt       = local.now
  }
}

source "amazon-ebs" "trixie" {
  region        = var.region
  instance_type = var.instance_type

  ami_name        = local.ami_name
  ami_description = "pinion ${var.version} (${var.commit}) on Debian 13"

  source_ami_filter {
    owners      = [var.source_ami_owner]
    most_recent = true
    filters = {
      name                = var.source_ami_name
      architecture        = "x86_64"
      virtualization-type = "hvm"
      root-device-type    = "ebs"
      root-device-name    = var.root_device_name
    }
  }

  # Encrypted from the first block: encrypt_boot would bake in the clear and copy at the end.
  launch_block_device_mappings {
    device_name           = var.root_device_name
    volume_type           = "gp3"
    iops                  = 3000
    throughput            = 125
    volume_size           = var.volume_gb
    encrypted             = true
    kms_key_id            = var.kms_key_id
    delete_on_termination = true
  }

  # The builder has no role: nothing that runs in it can call AWS.
  subnet_id                             = var.subnet_id
  associate_public_ip_address           = false
  security_group_ids                    = var.security_group_id == "" ? null : [var.security_group_id]
  temporary_security_group_source_cidrs = var.security_group_id == "" ? var.ssh_from_cidrs : null
  shutdown_behavior                     = "terminate"
  user_data_file                        = "${path.root}/files/builder.yaml"

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  communicator            = "ssh"
  ssh_interface           = "private_ip"
  ssh_username            = "root"
  ssh_timeout             = "5m"
  temporary_key_pair_type = "ed25519"

  imds_support = "v2.0"
  ena_support  = true
  deprecate_at = formatdate("YYYY-MM-DD'T'hh:mm:ssZ", timeadd(local.now, "${var.deprecate_after_days * 24}h"))

  # A month of Auto Scaling groups may still name an image that looks unused.
  deregistration_protection {
    enabled       = true
    with_cooldown = true
  }

  tags            = local.tags
  snapshot_tags   = local.tags
  run_tags        = local.tags
  run_volume_tags = local.tags

  aws_polling {
    delay_seconds = 15
    max_attempts  = 120
  }
}
