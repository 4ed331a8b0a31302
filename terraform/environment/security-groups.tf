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
