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
