locals {
  zones = var.vpc == null ? [] : var.vpc.availability_zones

  vpc_id              = var.existing_vpc == null ? one(aws_vpc.new[*].id) : var.existing_vpc.id
  app_subnet_ids      = var.existing_vpc == null ? [for zone in local.zones : aws_subnet.app[zone].id] : var.existing_vpc.app_subnet_ids
  balancer_subnet_ids = var.existing_vpc == null ? [for zone in local.zones : aws_subnet.balancer[zone].id] : var.existing_vpc.balancer_subnet_ids
  app_route_table_ids = var.existing_vpc == null ? [for zone in local.zones : aws_route_table.app[zone].id] : var.existing_vpc.app_route_table_ids

  # A network of ours gets gateways of ours; the NAT of an existing VPC is its owner's.
  nat_zones = toset(var.egress == "nat" ? local.zones : [])

  # What an instance asks of each service: the endpoint lets nothing else pass, whoever signed it.
  endpoints = {
    autoscaling = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
    kms         = ["kms:Decrypt"]
    logs        = ["logs:CreateLogStream", "logs:PutLogEvents"]
    monitoring  = ["cloudwatch:PutMetricData"]
    ssm         = ["ssm:GetParameter", "ssm:GetParameters", "ssm:UpdateInstanceInformation"]
    ssmmessages = ["ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"]
    sts         = ["sts:AssumeRole"]
  }
  interface_endpoints = var.egress == "endpoints" ? local.endpoints : {}
  app_actions         = var.app_role == null ? [] : flatten(var.app_role.statements[*].actions)
  endpoint_roles      = concat([aws_iam_role.runtime.arn], aws_iam_role.app[*].arn)
}

# The network of a new VPC

resource "aws_vpc" "new" {
  #checkov:skip=CKV2_AWS_11:what an instance may reach is closed by its security group; flow logs cost more than a small fleet and are the account's choice
  count = var.vpc == null ? 0 : 1

  cidr_block           = var.vpc.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = local.name }
}

# Without rules: nothing joins it by accident.
resource "aws_default_security_group" "closed" {
  count = var.vpc == null ? 0 : 1

  vpc_id = aws_vpc.new[0].id

  tags = { Name = "${local.name}-default-closed" }
}

resource "aws_subnet" "app" {
  for_each = toset(local.zones)

  vpc_id                  = local.vpc_id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.vpc.cidr, 4, index(local.zones, each.key))
  map_public_ip_on_launch = false

  tags = { Name = "${local.name}-app-${each.key}" }
}

resource "aws_subnet" "balancer" {
  for_each = toset(local.zones)

  vpc_id                  = local.vpc_id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.vpc.cidr, 4, 8 + index(local.zones, each.key))
  map_public_ip_on_launch = false

  tags = { Name = "${local.name}-balancer-${each.key}" }
}

resource "aws_internet_gateway" "new" {
  count = var.vpc == null ? 0 : 1

  vpc_id = local.vpc_id

  tags = { Name = local.name }
}

resource "aws_route_table" "balancer" {
  count = var.vpc == null ? 0 : 1

  vpc_id = local.vpc_id

  tags = { Name = "${local.name}-balancer" }
}

resource "aws_route" "internet" {
  count = var.vpc == null ? 0 : 1

  route_table_id         = one(aws_route_table.balancer[*].id)
  gateway_id             = one(aws_internet_gateway.new[*].id)
  destination_cidr_block = "0.0.0.0/0"
}

resource "aws_route_table_association" "balancer" {
  for_each = aws_subnet.balancer

  subnet_id      = each.value.id
  route_table_id = one(aws_route_table.balancer[*].id)
}

# One for each zone, so that a zone's NAT gateway serves that zone.
resource "aws_route_table" "app" {
  for_each = toset(local.zones)

  vpc_id = local.vpc_id

  tags = { Name = "${local.name}-app-${each.key}" }
}

resource "aws_route_table_association" "app" {
  for_each = aws_subnet.app

  subnet_id      = each.value.id
  route_table_id = aws_route_table.app[each.key].id
}

resource "aws_eip" "nat" {
  for_each = local.nat_zones

  domain = "vpc"

  tags = { Name = "${local.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "app" {
  for_each = local.nat_zones

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.balancer[each.key].id

  tags = { Name = "${local.name}-${each.key}" }

  depends_on = [aws_route.internet]
}

resource "aws_route" "nat" {
  for_each = local.nat_zones

  route_table_id         = aws_route_table.app[each.key].id
  nat_gateway_id         = aws_nat_gateway.app[each.key].id
  destination_cidr_block = "0.0.0.0/0"
}

# What of an existing VPC no variable shows

data "aws_subnet" "existing" {
  for_each = toset(var.existing_vpc == null || var.vpc != null ? [] : var.existing_vpc.app_subnet_ids)

  id = each.key

  lifecycle {
    postcondition {
      condition     = self.vpc_id == var.existing_vpc.id
      error_message = "${each.key} of existing_vpc.app_subnet_ids is in ${self.vpc_id}, not in ${var.existing_vpc.id}: name subnets of that VPC."
    }

    postcondition {
      condition     = !self.map_public_ip_on_launch
      error_message = "${each.key} of existing_vpc.app_subnet_ids gives instances public addresses: name a private subnet, or switch that off in it."
    }
  }
}
