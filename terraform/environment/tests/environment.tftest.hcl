# What conditions make of the inputs. The provider is mocked: no AWS is asked.

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
  vpc        = { cidr = "10.30.0.0/16", availability_zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  balancer   = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0" }
  image      = { id = "ami-0123456789abcdef0" }
  fleet      = { instance_type = "t3.medium", min = 3, max = 9 }
  artifacts  = { bucket = "pinion-shop-artifacts-123456789012" }
}

run "endpoints_are_the_only_way_out" {
  command = apply

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["autoscaling", "kms", "logs", "monitoring", "ssm", "ssmmessages", "sts"]) && length(aws_vpc_endpoint.s3) == 1
    error_message = "an instance without internet lacks an endpoint that it asks"
  }

  assert {
    condition     = length(aws_nat_gateway.app) == 0 && length(aws_route.nat) == 0 && length(aws_vpc_security_group_egress_rule.app_by_nat) == 0
    error_message = "with endpoints there is another way out"
  }

  assert {
    condition     = aws_vpc_endpoint.s3[0].route_table_ids == toset([for table in aws_route_table.app : table.id])
    error_message = "the S3 endpoint is not in the route table of every app subnet"
  }

  assert {
    condition     = length(setintersection([for subnet in aws_subnet.app : subnet.cidr_block], [for subnet in aws_subnet.balancer : subnet.cidr_block])) == 0 && length(distinct([for subnet in concat(values(aws_subnet.app), values(aws_subnet.balancer)) : subnet.cidr_block])) == 6
    error_message = "subnets overlap"
  }

  assert {
    condition     = aws_autoscaling_group.fleet.vpc_zone_identifier == toset([for subnet in aws_subnet.app : subnet.id])
    error_message = "instances are not in the private subnets"
  }
}

run "nat_is_one_gateway_a_zone_and_no_endpoint" {
  variables {
    egress = "nat"
  }

  assert {
    condition     = toset(keys(aws_nat_gateway.app)) == toset(var.vpc.availability_zones) && toset(keys(aws_route.nat)) == toset(var.vpc.availability_zones)
    error_message = "a zone has no NAT gateway of its own"
  }

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_vpc_endpoint.s3) == 0 && length(aws_security_group.endpoints) == 0 && length(aws_vpc_security_group_egress_rule.app_by_nat) == 1
    error_message = "with nat the way out is HTTPS by the gateway alone"
  }
}

run "existing_vpc_gets_endpoints_and_nothing_else" {
  command = apply

  variables {
    vpc = null
    existing_vpc = {
      id                  = "vpc-0a"
      app_subnet_ids      = ["subnet-0a", "subnet-0b"]
      balancer_subnet_ids = ["subnet-0c", "subnet-0d"]
      app_route_table_ids = ["rtb-0a"]
    }
  }

  assert {
    condition     = length(aws_vpc.new) + length(aws_subnet.app) + length(aws_subnet.balancer) + length(aws_internet_gateway.new) + length(aws_route_table.app) == 0
    error_message = "a part of a new VPC is made beside the existing one"
  }

  assert {
    condition     = aws_autoscaling_group.fleet.vpc_zone_identifier == toset(["subnet-0a", "subnet-0b"]) && aws_lb.app.subnets == toset(["subnet-0c", "subnet-0d"])
    error_message = "instances or load balancer are not in the subnets that were given"
  }

  assert {
    condition     = aws_vpc_endpoint.s3[0].vpc_id == "vpc-0a" && aws_vpc_endpoint.s3[0].route_table_ids == toset(["rtb-0a"])
    error_message = "the S3 endpoint is not in the existing VPC's route tables"
  }
}

run "existing_vpc_with_its_own_nat" {
  command = plan

  variables {
    egress = "nat"
    vpc    = null
    existing_vpc = {
      id                  = "vpc-0a"
      app_subnet_ids      = ["subnet-0a", "subnet-0b"]
      balancer_subnet_ids = ["subnet-0c", "subnet-0d"]
    }
  }

  assert {
    condition     = length(aws_nat_gateway.app) + length(aws_route.nat) + length(aws_eip.nat) + length(aws_vpc_endpoint.interface) == 0
    error_message = "the owner of an existing VPC made its NAT: nothing is added to it"
  }
}

run "tls_unless_it_is_said_otherwise" {
  command = plan

  assert {
    condition     = length(aws_lb_listener.http_only) == 0 && aws_lb_listener.redirect[0].default_action[0].redirect[0].status_code == "HTTP_301"
    error_message = "port 80 serves requests"
  }

  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.balancer : rule.from_port]) == toset([80, 443])
    error_message = "the load balancer lets in more than HTTP and HTTPS"
  }
}

run "http_only_is_one_listener" {
  command = apply

  variables {
    balancer = { http_only = true }
  }

  assert {
    condition     = length(aws_lb_listener.https) + length(aws_lb_listener.redirect) == 0 && length(aws_lb_listener.http_only) == 1
    error_message = "http_only leaves a listener that needs a certificate"
  }

  assert {
    condition     = jsondecode(aws_ssm_parameter.infrastructure.value).loadBalancerUrl == "http://${aws_lb.app.dns_name}"
    error_message = "smoke tests would ask another address"
  }

  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.balancer : rule.from_port]) == toset([80])
    error_message = "port 443 is open with nothing behind it"
  }
}

run "document_is_that_of_the_contract" {
  command = apply

  assert {
    condition     = toset(keys(jsondecode(aws_ssm_parameter.infrastructure.value))) == toset(["schemaVersion", "autoScalingGroup", "launchTemplateId", "targetGroupArn", "loadBalancerUrl", "artifactBucket", "alarms", "hooks", "times"])
    error_message = "the document has other fields than contract/infrastructure.ts; appRoleArn is left out for an app without a role"
  }

  assert {
    condition     = toset(jsondecode(aws_ssm_parameter.infrastructure.value).alarms) == toset([for alarm in aws_cloudwatch_metric_alarm.deploy : alarm.alarm_name]) && length(aws_cloudwatch_metric_alarm.deploy) == 5
    error_message = "an alarm rolls no deploy back"
  }

  assert {
    condition     = jsondecode(aws_ssm_parameter.infrastructure.value).times.launchHeartbeatMs == 1000 * aws_autoscaling_lifecycle_hook.launch.heartbeat_timeout && jsondecode(aws_ssm_parameter.infrastructure.value).times.deregistrationDelayMs == 1000 * tonumber(aws_lb_target_group.app.deregistration_delay) && jsondecode(aws_ssm_parameter.infrastructure.value).times.idleTimeoutMs == 1000 * aws_lb.app.idle_timeout
    error_message = "the document's times are not those of what was made"
  }

  assert {
    condition     = jsondecode(aws_ssm_parameter.infrastructure.value).hooks == { launch = aws_autoscaling_lifecycle_hook.launch.name, terminate = aws_autoscaling_lifecycle_hook.terminate.name }
    error_message = "the document names other hooks than the group has"
  }
}

run "base_version_names_no_release" {
  command = apply

  assert {
    condition     = toset(keys(jsondecode(base64decode(aws_launch_template.fleet.user_data)))) == toset(["schemaVersion", "app", "env", "autoScalingGroup", "hooks", "times"])
    error_message = "the agent would refuse this user data, or take a release from it"
  }

  assert {
    condition     = jsondecode(base64decode(aws_launch_template.fleet.user_data)).autoScalingGroup == aws_autoscaling_group.fleet.name
    error_message = "the agent would answer the hooks of another group"
  }
}

run "no_app_role_no_way_to_one" {
  command = apply

  assert {
    condition     = length(aws_iam_role.app) == 0 && length(aws_iam_role_policy.app) == 0
    error_message = "there is a role for an app that has none"
  }

  assert {
    condition     = !contains(flatten([for statement in data.aws_iam_policy_document.runtime.statement : tolist(statement.actions)]), "sts:AssumeRole")
    error_message = "the runtime role may assume a role though the app has none"
  }
}

run "promotion_reads_the_source_and_writes_here" {
  command = apply

  variables {
    release_from = "staging"
  }

  assert {
    condition     = one([for statement in data.aws_iam_policy_document.release.statement : statement.resources if statement.sid == "ReadRecords"]) == toset(["arn:aws:ssm:eu-west-1:123456789012:parameter/pinion/shop/prod/release", "arn:aws:ssm:eu-west-1:123456789012:parameter/pinion/shop/staging/release"])
    error_message = "the release role does not read the record that it promotes, or reads others"
  }

  assert {
    condition     = [for statement in data.aws_iam_policy_document.release.statement : statement.resources if contains(statement.actions, "ssm:PutParameter")] == [toset(["arn:aws:ssm:eu-west-1:123456789012:parameter/pinion/shop/prod/release"])]
    error_message = "the release role writes more than this environment's record"
  }
}

run "fixed_fleet_has_no_scaling_policy" {
  command = plan

  variables {
    fleet = { instance_type = "t3.small", min = 2, max = 2 }
  }

  assert {
    condition     = length(aws_autoscaling_policy.cpu) == 0
    error_message = "a policy scales a fleet that cannot grow"
  }

  assert {
    condition     = aws_autoscaling_group.fleet.instance_maintenance_policy[0].min_healthy_percentage == 100 && aws_autoscaling_group.fleet.instance_maintenance_policy[0].max_healthy_percentage == 150
    error_message = "with two instances there is no room for the third that is launched before one is terminated"
  }
}

run "one_instance_is_replaced_by_a_second" {
  command = plan

  variables {
    fleet = { instance_type = "t3.small", min = 1, max = 20 }
  }

  assert {
    condition     = aws_autoscaling_group.fleet.instance_maintenance_policy[0].max_healthy_percentage == 200 && length(aws_autoscaling_policy.cpu) == 1
    error_message = "one instance leaves no room for another, or the fleet does not scale"
  }
}

run "no_alarm_breaches_for_want_of_data" {
  command = plan

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.deploy : alarm.treat_missing_data == "notBreaching"])
    error_message = "StartInstanceRefresh refuses an alarm in INSUFFICIENT_DATA"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.deploy : (alarm.statistic == null) != (alarm.extended_statistic == null)])
    error_message = "an alarm has no statistic, or two"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.deploy : alarm.dimensions == tomap({ App = "shop", Env = "prod" }) && local.pinion_metrics[alarm.metric_name].search == "" if alarm.namespace == local.pinion.namespace])
    error_message = "the agent sends no metric of an alarm's name with these dimensions alone"
  }

  assert {
    condition     = toset([for alarm in aws_cloudwatch_metric_alarm.deploy : join(" ", concat([alarm.metric_name], keys(alarm.dimensions))) if alarm.namespace != local.pinion.namespace]) == toset(["HTTPCode_ELB_5XX_Count LoadBalancer", "HTTPCode_Target_5XX_Count LoadBalancer TargetGroup", "TargetResponseTime LoadBalancer TargetGroup", "UnHealthyHostCount LoadBalancer TargetGroup"])
    error_message = "an alarm watches a metric of another load balancer's, or one that is never sent"
  }
}

run "name_is_entered_where_the_zone_is_given" {
  command = plan

  variables {
    balancer = { domain_name = "shop.example.com", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/0", zone_id = "Z0123456789ABC" }
  }

  assert {
    condition     = aws_route53_record.app[0].name == "shop.example.com"
    error_message = "the app's name does not point to the load balancer"
  }
}

run "pipeline_is_read_only_where_there_is_one" {
  command = apply

  variables {
    pipeline = {
      bucket  = "pinion-shop-pipeline-123456789012"
      key_arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
    }
  }

  assert {
    condition     = alltrue([for role, document in data.aws_iam_policy_document.project : toset([for statement in document.statement : statement.sid]) == toset(["WriteBuildLog", "ReadDocument", "ReadConfigVersions", "SeeArtifacts", "SeeMissingArtifacts", "ReadSource", "DecryptObjects"])])
    error_message = "release or deploy cannot read its source"
  }
}

run "null_is_as_left_out" {
  command = plan

  variables {
    tags       = null
    app_egress = null
    times      = null
    gunicorn   = null
    alarms     = null
    log_days   = null
  }

  assert {
    condition     = length(var.tags) == 0 && length(var.app_egress) == 0 && var.times.boot_budget_seconds == 300 && var.gunicorn.keep_alive_seconds == 75 && var.alarms.boot_failures == 2 && var.log_days == 90
    error_message = "a null is not the default"
  }
}
