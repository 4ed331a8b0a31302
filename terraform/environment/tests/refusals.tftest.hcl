# Every wrong input is refused by its own variable, before any call. At the end what only the existing subnets themselves show.

mock_provider "aws" {
  source = "./tests/mocks"
}

override_data {
  target = data.aws_subnet.existing["subnet-0a"]
  values = { vpc_id = "vpc-0a", availability_zone = "eu-west-1a", map_public_ip_on_launch = false }
}

override_data {
  target = data.aws_subnet.existing["subnet-0b"]
  values = { vpc_id = "vpc-0a", availability_zone = "eu-west-1b", map_public_ip_on_launch = false }
}

variables {
  region     = "eu-west-1"
  account_id = "123456789012"
  app        = "shop"
  env        = "prod"
  egress     = "endpoints"
  vpc        = { cidr = "10.30.0.0/16", availability_zones = ["eu-west-1a", "eu-west-1b"] }
  balancer   = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0" }
  image      = { id = "ami-0123456789abcdef0" }
  fleet      = { instance_type = "t3.medium", min = 3, max = 9 }
  artifacts  = { bucket = "pinion-shop-artifacts-123456789012" }
}

run "region_with_zone" {
  command = plan

  variables {
    region   = "eu-west-1a"
    vpc      = { cidr = "10.30.0.0/16", availability_zones = ["eu-west-1aa", "eu-west-1ab"] }
    balancer = { http_only = true }
  }

  expect_failures = [var.region]
}

run "account_too_short" {
  command = plan

  variables {
    account_id = "1234567890"
  }

  expect_failures = [var.account_id]
}

run "app_with_capital" {
  command = plan

  variables {
    app = "Shop"
  }

  expect_failures = [var.app]
}

run "env_that_ends_with_hyphen" {
  command = plan

  variables {
    env = "prod-"
  }

  expect_failures = [var.env]
}

run "name_too_long_for_a_load_balancer" {
  command = plan

  variables {
    app = "customer-portal"
    env = "production"
  }

  expect_failures = [var.env]
}

run "tag_that_is_set_already" {
  command = plan

  variables {
    tags = { Env = "test" }
  }

  expect_failures = [var.tags]
}

run "both_vpcs" {
  command = plan

  variables {
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = ["rtb-0a"] }
  }

  expect_failures = [var.vpc]
}

run "no_vpc" {
  command = plan

  variables {
    vpc = null
  }

  expect_failures = [var.vpc]
}

run "vpc_range_too_small" {
  command = plan

  variables {
    vpc = { cidr = "10.30.0.0/28", availability_zones = ["eu-west-1a", "eu-west-1b"] }
  }

  expect_failures = [var.vpc]
}

run "vpc_range_not_at_its_beginning" {
  command = plan

  variables {
    vpc = { cidr = "10.30.1.0/16", availability_zones = ["eu-west-1a", "eu-west-1b"] }
  }

  expect_failures = [var.vpc]
}

run "one_zone" {
  command = plan

  variables {
    vpc = { cidr = "10.30.0.0/16", availability_zones = ["eu-west-1a"] }
  }

  expect_failures = [var.vpc]
}

run "same_zone_twice" {
  command = plan

  variables {
    vpc = { cidr = "10.30.0.0/16", availability_zones = ["eu-west-1a", "eu-west-1a"] }
  }

  expect_failures = [var.vpc]
}

run "zone_of_another_region" {
  command = plan

  variables {
    vpc = { cidr = "10.30.0.0/16", availability_zones = ["eu-west-1a", "eu-central-1b"] }
  }

  expect_failures = [var.vpc]
}

run "existing_vpc_by_name" {
  command = plan

  variables {
    vpc          = null
    existing_vpc = { id = "main", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = ["rtb-0a"] }
  }

  expect_failures = [var.existing_vpc]
}

run "existing_vpc_with_one_app_subnet" {
  command = plan

  variables {
    vpc          = null
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = ["rtb-0a"] }
  }

  expect_failures = [var.existing_vpc]
}

run "existing_vpc_with_one_balancer_subnet" {
  command = plan

  variables {
    vpc          = null
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0c"], app_route_table_ids = ["rtb-0a"] }
  }

  expect_failures = [var.existing_vpc]
}

run "endpoints_without_route_tables" {
  command = plan

  variables {
    vpc          = null
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = [] }
  }

  expect_failures = [var.existing_vpc]
}

run "unknown_egress" {
  command = plan

  variables {
    egress = "proxy"
  }

  expect_failures = [var.egress]
}

run "egress_to_no_range" {
  command = plan

  variables {
    app_egress = { database = { cidr = "db.example.com", port = 5432 } }
  }

  expect_failures = [var.app_egress]
}

run "egress_to_everywhere" {
  command = plan

  variables {
    app_egress = { database = { cidr = "0.0.0.0/0", port = 5432 } }
  }

  expect_failures = [var.app_egress]
}

run "egress_to_no_port" {
  command = plan

  variables {
    app_egress = { database = { cidr = "10.40.0.0/16", port = 0 } }
  }

  expect_failures = [var.app_egress]
}

run "neither_certificate_nor_http_only" {
  command = plan

  variables {
    balancer = { domain_name = "shop.example.com" }
  }

  expect_failures = [var.balancer]
}

run "certificate_and_http_only" {
  command = plan

  variables {
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", http_only = true }
  }

  expect_failures = [var.balancer]
}

run "certificate_of_another_region" {
  command = plan

  variables {
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/0" }
  }

  expect_failures = [var.balancer]
}

run "certificate_without_a_name" {
  command = plan

  variables {
    balancer = { certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0" }
  }

  expect_failures = [var.balancer]
}

run "address_instead_of_a_name" {
  command = plan

  variables {
    balancer = { domain_name = "https://shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0" }
  }

  expect_failures = [var.balancer]
}

run "zone_by_name" {
  command = plan

  variables {
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", zone_id = "example.com" }
  }

  expect_failures = [var.balancer]
}

run "nobody_may_come_in" {
  command = plan

  variables {
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", ingress_cidrs = [] }
  }

  expect_failures = [var.balancer]
}

run "ingress_from_no_range" {
  command = plan

  variables {
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", ingress_cidrs = ["office"] }
  }

  expect_failures = [var.balancer]
}

run "request_logs_for_no_day" {
  command = plan

  variables {
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", log_days = 0 }
  }

  expect_failures = [var.balancer]
}

run "image_by_parameter" {
  command = plan

  variables {
    image = { id = "resolve:ssm:/pinion/image" }
  }

  expect_failures = [var.image]
}

run "root_device_by_index" {
  command = plan

  variables {
    image = { id = "ami-0123456789abcdef0", root_device_name = "0" }
  }

  expect_failures = [var.image]
}

run "arm_instance_type" {
  command = plan

  variables {
    fleet = { instance_type = "t4g.small", min = 2, max = 4 }
  }

  expect_failures = [var.fleet]
}

run "xen_instance_type" {
  command = plan

  variables {
    fleet = { instance_type = "t2.small", min = 2, max = 4 }
  }

  expect_failures = [var.fleet]
}

run "volume_smaller_than_the_image" {
  command = plan

  variables {
    fleet = { instance_type = "t3.small", min = 2, max = 4, volume_gb = 4 }
  }

  expect_failures = [var.fleet]
}

run "empty_fleet" {
  command = plan

  variables {
    fleet = { instance_type = "t3.small", min = 0, max = 4 }
  }

  expect_failures = [var.fleet]
}

run "max_below_min" {
  command = plan

  variables {
    fleet = { instance_type = "t3.small", min = 2, max = 1 }
  }

  expect_failures = [var.fleet]
}

run "cpu_target_of_100" {
  command = plan

  variables {
    fleet = { instance_type = "t3.small", min = 2, max = 4, cpu_target_percent = 100 }
  }

  expect_failures = [var.fleet]
}

run "half_a_second" {
  command = plan

  variables {
    times = { warm_up_seconds = 60.5 }
  }

  expect_failures = [var.times]
}

run "health_interval_too_short" {
  command = plan

  variables {
    times = { health_interval_seconds = 2 }
  }

  expect_failures = [var.times]
}

run "idle_timeout_too_long" {
  command = plan

  variables {
    times    = { idle_timeout_seconds = 5000 }
    gunicorn = { keep_alive_seconds = 3600 }
  }

  expect_failures = [var.times]
}

run "deregistration_too_long" {
  command = plan

  variables {
    times = { deregistration_seconds = 4000, stop_timeout_seconds = 5000 }
  }

  expect_failures = [var.times]
}

run "heartbeat_too_short" {
  command = plan

  variables {
    times = { terminate_heartbeat_seconds = 20 }
  }

  expect_failures = [var.times]
}

run "keep_alive_not_longer_than_idle_timeout" {
  command = plan

  variables {
    gunicorn = { keep_alive_seconds = 60 }
  }

  expect_failures = [var.times]
}

run "deregistration_shorter_than_graceful_timeout" {
  command = plan

  variables {
    times = { deregistration_seconds = 29 }
  }

  expect_failures = [var.times]
}

run "warm_up_shorter_than_two_checks" {
  command = plan

  variables {
    times = { warm_up_seconds = 29 }
  }

  expect_failures = [var.times]
}

run "grace_shorter_than_two_checks" {
  command = plan

  variables {
    times = { grace_seconds = 29 }
  }

  expect_failures = [var.times]
}

run "launch_heartbeat_not_longer_than_boot" {
  command = plan

  variables {
    times = { launch_heartbeat_seconds = 300 }
  }

  expect_failures = [var.times]
}

run "stop_timeout_shorter_than_a_drain" {
  command = plan

  variables {
    times = { stop_timeout_seconds = 104 }
  }

  expect_failures = [var.times]
}

run "gunicorn_time_out_of_range" {
  command = plan

  variables {
    gunicorn = { keep_alive_seconds = 3601 }
  }

  expect_failures = [var.gunicorn]
}

run "bucket_by_arn" {
  command = plan

  variables {
    artifacts = { bucket = "arn:aws:s3:::artifacts" }
  }

  expect_failures = [var.artifacts]
}

run "artifact_key_by_alias" {
  command = plan

  variables {
    artifacts = { bucket = "artifacts", key_arn = "alias/artifacts" }
  }

  expect_failures = [var.artifacts]
}

run "release_from_itself" {
  command = plan

  variables {
    release_from = "prod"
  }

  expect_failures = [var.release_from]
}

run "pipeline_key_by_alias" {
  command = plan

  variables {
    pipeline = { bucket = "pipeline", key_arn = "alias/pipeline" }
  }

  expect_failures = [var.pipeline]
}

run "connection_by_name" {
  command = plan

  variables {
    pipeline = { bucket = "pipeline", key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0", connection_arn = "github" }
  }

  expect_failures = [var.pipeline]
}

run "app_role_without_statements" {
  command = plan

  variables {
    app_role = { statements = [] }
  }

  expect_failures = [var.app_role]
}

run "app_role_with_wildcard_action" {
  command = plan

  variables {
    app_role = { statements = [{ actions = ["s3:*"], resources = ["arn:aws:s3:::uploads/*"] }] }
  }

  expect_failures = [var.app_role]
}

run "app_role_that_reaches_infrastructure" {
  command = plan

  variables {
    app_role = { statements = [{ actions = ["autoscaling:UpdateAutoScalingGroup"], resources = ["arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*"] }] }
  }

  expect_failures = [var.app_role]
}

run "app_role_on_every_resource" {
  command = plan

  variables {
    app_role = { statements = [{ actions = ["s3:GetObject"], resources = ["*"] }] }
  }

  expect_failures = [var.app_role]
}

run "alarm_that_never_ends" {
  command = plan

  variables {
    alarms = { boot_failures = 0 }
  }

  expect_failures = [var.alarms]
}

run "topic_by_name" {
  command = plan

  variables {
    alarms = { topic_arns = ["operators"] }
  }

  expect_failures = [var.alarms]
}

run "log_days_that_cloudwatch_does_not_have" {
  command = plan

  variables {
    log_days = 45
  }

  expect_failures = [var.log_days]
}

run "existing_subnet_that_gives_public_addresses" {
  command = plan

  variables {
    vpc          = null
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = ["rtb-0a"] }
  }

  override_data {
    target = data.aws_subnet.existing["subnet-0a"]
    values = { vpc_id = "vpc-0a", availability_zone = "eu-west-1a", map_public_ip_on_launch = true }
  }

  expect_failures = [data.aws_subnet.existing]
}

run "existing_subnet_of_another_vpc" {
  command = plan

  variables {
    vpc          = null
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = ["rtb-0a"] }
  }

  override_data {
    target = data.aws_subnet.existing["subnet-0b"]
    values = { vpc_id = "vpc-0b", availability_zone = "eu-west-1b", map_public_ip_on_launch = false }
  }

  expect_failures = [data.aws_subnet.existing]
}

run "existing_subnets_of_one_zone" {
  command = plan

  variables {
    vpc          = null
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = ["rtb-0a"] }
  }

  override_data {
    target = data.aws_subnet.existing["subnet-0b"]
    values = { vpc_id = "vpc-0a", availability_zone = "eu-west-1a", map_public_ip_on_launch = false }
  }

  expect_failures = [aws_autoscaling_group.fleet]
}
