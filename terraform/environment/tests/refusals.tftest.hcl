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

run "name_too_long_for_a_load_balancer" {
  command = plan

  variables {
    app = "customer-portal"
    env = "production"
  }

  expect_failures = [var.env]
}

run "wrong_inputs_1" {
  command = plan

  variables {
    # app with capital
    app = "Shop"

    # tag that is set already
    tags = { Env = "test" }

    # unknown egress
    egress = "proxy"

    # egress to no range
    app_egress = { database = { cidr = "db.example.com", port = 5432 } }

    # neither certificate nor http only
    balancer = { domain_name = "shop.example.com" }

    # image by parameter
    image = { id = "resolve:ssm:/pinion/image" }

    # arm instance type
    fleet = { instance_type = "t4g.small", min = 2, max = 4 }

    # gunicorn time out of range
    gunicorn = { keep_alive_seconds = 3601 }

    # bucket by arn
    artifacts = { bucket = "arn:aws:s3:::artifacts" }

    # pipeline key by alias
    pipeline = { bucket = "pipeline", key_arn = "alias/pipeline" }

    # app role without statements
    app_role = { statements = [] }

    # alarm that never ends
    alarms = { boot_failures = 0 }

    # log days that cloudwatch does not have
    log_days = 45
  }

  expect_failures = [var.alarms, var.app, var.app_egress, var.app_role, var.artifacts, var.balancer, var.egress, var.fleet, var.gunicorn, var.image, var.log_days, var.pipeline, var.tags]
}

run "wrong_inputs_2" {
  command = plan

  variables {
    # no vpc
    vpc = null

    # egress to everywhere
    app_egress = { database = { cidr = "0.0.0.0/0", port = 5432 } }

    # certificate and http only
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", http_only = true }

    # root device by index
    image = { id = "ami-0123456789abcdef0", root_device_name = "0" }

    # xen instance type
    fleet = { instance_type = "t2.small", min = 2, max = 4 }

    # health interval too short
    times = { health_interval_seconds = 2 }

    # artifact key by alias
    artifacts = { bucket = "artifacts", key_arn = "alias/artifacts" }

    # pipeline bucket by arn
    pipeline = { bucket = "arn:aws:s3:::pipeline", key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0" }

    # app role with wildcard action
    app_role = { statements = [{ actions = ["s3:*"], resources = ["arn:aws:s3:::uploads/*"] }] }

    # topic by name
    alarms = { topic_arns = ["operators"] }

    # env that ends with hyphen
    env = "prod-"
  }

  expect_failures = [var.alarms, var.app_egress, var.app_role, var.artifacts, var.balancer, var.env, var.fleet, var.image, var.pipeline, var.times, var.vpc]
}

run "wrong_inputs_3" {
  command = plan

  variables {
    # vpc range too small
    vpc = { cidr = "10.30.0.0/28", availability_zones = ["eu-west-1a", "eu-west-1b"] }

    # egress to no port
    app_egress = { database = { cidr = "10.40.0.0/16", port = 0 } }

    # certificate of another region
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/0" }

    # volume smaller than the image
    fleet = { instance_type = "t3.small", min = 2, max = 4, volume_gb = 4 }

    # idle timeout too long
    times    = { idle_timeout_seconds = 5000 }
    gunicorn = { keep_alive_seconds = 3600 }

    # app role that reaches infrastructure
    app_role = { statements = [{ actions = ["autoscaling:UpdateAutoScalingGroup"], resources = ["arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*"] }] }

    # release from itself
    release_from = "prod"
  }

  expect_failures = [var.app_egress, var.app_role, var.balancer, var.fleet, var.release_from, var.times, var.vpc]
}

run "wrong_inputs_4" {
  command = plan

  variables {
    # vpc range not at its beginning
    vpc = { cidr = "10.30.1.0/16", availability_zones = ["eu-west-1a", "eu-west-1b"] }

    # certificate without a name
    balancer = { certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0" }

    # empty fleet
    fleet = { instance_type = "t3.small", min = 0, max = 4 }

    # deregistration too long
    times = { deregistration_seconds = 4000, stop_timeout_seconds = 5000 }

    # app role on every resource
    app_role = { statements = [{ actions = ["s3:GetObject"], resources = ["*"] }] }

    # egress to IPv6
    app_egress = { database = { cidr = "fd00::/64", port = 5432 } }

    # tag of AWS
    tags = { "aws:owner" = "shop" }

    # env with the name of a role
    env = "app"
  }

  expect_failures = [var.app_egress, var.app_role, var.balancer, var.env, var.fleet, var.tags, var.times, var.vpc]
}

run "wrong_inputs_5" {
  command = plan

  variables {
    # one zone
    vpc = { cidr = "10.30.0.0/16", availability_zones = ["eu-west-1a"] }

    # address instead of a name
    balancer = { domain_name = "https://shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0" }

    # max below min
    fleet = { instance_type = "t3.small", min = 2, max = 1 }

    # heartbeat too short
    times = { terminate_heartbeat_seconds = 20 }

    # egress to a range not from its beginning
    app_egress = { database = { cidr = "10.40.0.5/24", port = 5432 } }

    # release from what no env can be
    release_from = "staging-"
  }

  expect_failures = [var.app_egress, var.balancer, var.fleet, var.release_from, var.times, var.vpc]
}

run "wrong_inputs_6" {
  command = plan

  variables {
    # same zone twice
    vpc = { cidr = "10.30.0.0/16", availability_zones = ["eu-west-1a", "eu-west-1a"] }

    # zone by name
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", zone_id = "example.com" }

    # cpu target of 100
    fleet = { instance_type = "t3.small", min = 2, max = 4, cpu_target_percent = 100 }

    # keep alive not longer than idle timeout
    gunicorn = { keep_alive_seconds = 60 }
  }

  expect_failures = [var.balancer, var.fleet, var.times, var.vpc]
}

run "wrong_inputs_7" {
  command = plan

  variables {
    # zone of another region
    vpc = { cidr = "10.30.0.0/16", availability_zones = ["eu-west-1a", "eu-central-1b"] }

    # nobody may come in
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", ingress_cidrs = [] }

    # deregistration shorter than graceful timeout
    times = { deregistration_seconds = 29 }

    # instance type without a dot
    fleet = { instance_type = "t3small", min = 2, max = 4 }
  }

  expect_failures = [var.balancer, var.fleet, var.times, var.vpc]
}

run "wrong_inputs_8" {
  command = plan

  variables {
    # existing vpc by name
    vpc          = null
    existing_vpc = { id = "main", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = ["rtb-0a"] }

    # ingress from no range
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", ingress_cidrs = ["office"] }

    # warm up shorter than two checks
    times = { warm_up_seconds = 29 }

    # half an instance
    fleet = { instance_type = "t3.small", min = 1.5, max = 4 }
  }

  expect_failures = [var.balancer, var.existing_vpc, var.fleet, var.times]
}

run "wrong_inputs_9" {
  command = plan

  variables {
    # existing vpc with one app subnet
    vpc          = null
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = ["rtb-0a"] }

    # request logs for no day
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", log_days = 0 }

    # grace shorter than two checks
    times = { grace_seconds = 29 }
  }

  expect_failures = [var.balancer, var.existing_vpc, var.times]
}

run "wrong_inputs_10" {
  command = plan

  variables {
    # existing vpc with one balancer subnet
    vpc          = null
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0c"], app_route_table_ids = ["rtb-0a"] }

    # launch heartbeat not longer than boot
    times = { launch_heartbeat_seconds = 300 }

    # certificate of another account
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:210987654321:certificate/0" }
  }

  expect_failures = [var.balancer, var.existing_vpc, var.times]
}

run "wrong_inputs_11" {
  command = plan

  variables {
    # endpoints without route tables
    vpc          = null
    existing_vpc = { id = "vpc-0a", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = [] }

    # stop timeout shorter than a drain
    times = { stop_timeout_seconds = 104 }

    # ingress from a range not from its beginning
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", ingress_cidrs = ["203.0.113.7/24"] }
  }

  expect_failures = [var.balancer, var.existing_vpc, var.times]
}

run "wrong_inputs_12" {
  command = plan

  variables {
    # both vpcs, of which AWS is asked nothing: it would say that the subnets are of another
    existing_vpc = { id = "vpc-0f", app_subnet_ids = ["subnet-0a", "subnet-0b"], balancer_subnet_ids = ["subnet-0c", "subnet-0d"], app_route_table_ids = ["rtb-0a"] }

    # half a second
    times = { warm_up_seconds = 60.5 }

    # ingress from IPv6
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", ingress_cidrs = ["2001:db8::/32"] }
  }

  expect_failures = [var.balancer, var.times, var.vpc]
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
