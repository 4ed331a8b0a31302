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
  for_each = toset(var.existing_vpc == null ? [] : var.existing_vpc.app_subnet_ids)

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

# Endpoints

resource "aws_vpc_endpoint" "s3" {
  count = var.egress == "endpoints" ? 1 : 0

  vpc_id            = local.vpc_id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = local.app_route_table_ids
  policy            = data.aws_iam_policy_document.s3_endpoint.json

  tags = { Name = "${local.name}-s3" }
}

data "aws_iam_policy_document" "s3_endpoint" {
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObjectVersion"]
    resources = [local.artifact_objects]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = [aws_iam_role.runtime.arn]
    }
  }

  dynamic "statement" {
    for_each = var.app_role == null ? [] : [for statement in var.app_role.statements : statement if anytrue([for action in statement.actions : startswith(action, "s3:")])]

    content {
      actions   = [for action in statement.value.actions : action if startswith(action, "s3:")]
      resources = statement.value.resources

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:PrincipalArn"
        values   = aws_iam_role.app[*].arn
      }
    }
  }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_endpoints

  vpc_id              = local.vpc_id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = local.app_subnet_ids
  security_group_ids  = aws_security_group.endpoints[*].id
  policy              = data.aws_iam_policy_document.endpoint[each.key].json

  tags = { Name = "${local.name}-${each.key}" }
}

# Which resources a role may reach is the role's own policy's matter; here it is that nobody else's credentials pass.
data "aws_iam_policy_document" "endpoint" {
  for_each = local.interface_endpoints

  statement {
    actions = distinct(concat(
      each.value,
      [for action in local.app_actions : action if split(":", action)[0] == split(":", each.value[0])[0]],
    ))
    resources = ["*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = local.endpoint_roles
    }
  }
}

# Security groups: only the balancer reaches an instance, and only on the two ports of the image

resource "aws_security_group" "balancer" {
  name        = "${local.name}-balancer"
  description = "Load balancer of ${var.app} in ${var.env}"
  vpc_id      = local.vpc_id

  tags = { Name = "${local.name}-balancer" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  for_each = {
    for pair in setproduct(var.balancer.http_only ? [80] : [80, 443], var.balancer.ingress_cidrs) : "${pair[1]} ${pair[0]}" => { port = pair[0], cidr = pair[1] }
  }

  security_group_id = aws_security_group.balancer.id
  description       = each.value.port == 443 || var.balancer.http_only ? "Requests" : "Requests that are sent on to HTTPS"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "balancer" {
  for_each = local.image_ports

  security_group_id            = aws_security_group.balancer.id
  description                  = each.key
  referenced_security_group_id = aws_security_group.app.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_security_group" "app" {
  name        = "${local.name}-app"
  description = "Instances of ${var.app} in ${var.env}"
  vpc_id      = local.vpc_id

  tags = { Name = "${local.name}-app" }

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  image_ports = { traffic = local.traffic_port, health = local.health_port }
}

resource "aws_vpc_security_group_ingress_rule" "app" {
  for_each = local.image_ports

  security_group_id            = aws_security_group.app.id
  description                  = each.key
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

# VPC resolver and time service are not subject to security groups.
resource "aws_vpc_security_group_egress_rule" "app_to_endpoints" {
  count = var.egress == "endpoints" ? 1 : 0

  security_group_id            = aws_security_group.app.id
  description                  = "AWS by interface endpoints"
  referenced_security_group_id = one(aws_security_group.endpoints[*].id)
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "app_to_s3" {
  count = var.egress == "endpoints" ? 1 : 0

  security_group_id = aws_security_group.app.id
  description       = "S3 by its gateway endpoint"
  prefix_list_id    = one(aws_vpc_endpoint.s3[*].prefix_list_id)
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# AWS publishes no range that holds still: with NAT it is every host, by HTTPS alone.
resource "aws_vpc_security_group_egress_rule" "app_by_nat" {
  count = var.egress == "nat" ? 1 : 0

  security_group_id = aws_security_group.app.id
  description       = "AWS, and any host, by HTTPS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "app_egress" {
  for_each = var.app_egress

  security_group_id = aws_security_group.app.id
  description       = each.key
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

resource "aws_security_group" "endpoints" {
  count = var.egress == "endpoints" ? 1 : 0

  name        = "${local.name}-endpoints"
  description = "Interface endpoints of ${var.app} in ${var.env}"
  vpc_id      = local.vpc_id

  tags = { Name = "${local.name}-endpoints" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = var.egress == "endpoints" ? 1 : 0

  security_group_id            = one(aws_security_group.endpoints[*].id)
  description                  = "Instances"
  referenced_security_group_id = aws_security_group.app.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}
