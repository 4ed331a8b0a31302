# Apply makes both roots, less what would let it widen itself: no policy that is attached by its ARN, and so no boundary, and nothing of its own role.
# Who changes those is an administrator, with the same files.

locals {
  # Roles that it manages: all but its own.
  managed_role_arns = [for arn in local.role_arns : arn if arn != "${local.account}:role/${local.name}-apply"]

  # Its own boundary is the widest, and would pass it on.
  boundary_arns = [for arn in concat(
    [for name in local.order : "${local.account}:policy/${local.name}-${name}-*-boundary"],
    [for role in keys(local.services) : "${local.account}:policy/${local.name}-${role}-boundary" if role != "apply"],
  ) : arn]
  with_boundary = [{ test = "ArnLike", variable = "iam:PermissionsBoundary", values = local.boundary_arns }]

  group_arns = [for name in local.order : "${local.regional.autoscaling}:autoScalingGroup:*:autoScalingGroupName/${local.name}-${name}"]

  apply_grants = {
    state = concat(local.build_log_grants.apply, local.source_grants.plans, local.state_grants, [
      { sid = "WriteStates", actions = ["s3:PutObject"], resources = [for key in local.state_keys : "${local.state_bucket_arn}/${key}"] },
    ])
    look     = local.look_grants
    network  = local.network_grants
    serving  = local.serving_grants
    storage  = local.storage_grants
    identity = local.identity_grants
    delivery = local.delivery_grants
  }

  identity_grants = [for grant in [
    { sid = "MakeRoles", actions = ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"], resources = local.managed_role_arns, conditions = local.with_boundary },
    {
      sid       = "ChangeRoles"
      actions   = ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"]
      resources = local.managed_role_arns
    },
    # No condition of any role's asks for a tag of these, so that its own role and its policies may have other ones.
    { sid = "TagRoles", actions = ["iam:TagRole", "iam:UntagRole"], resources = local.role_arns },
    { sid = "TagPolicies", actions = ["iam:TagPolicy", "iam:UntagPolicy"], resources = local.policy_arns },
    {
      sid       = "PassRoles"
      actions   = ["iam:PassRole"]
      resources = concat(local.managed_role_arns, ["${local.account}:role/${local.name}-apply"])
      conditions = [{
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["codebuild.amazonaws.com", "codepipeline.amazonaws.com", "ec2.amazonaws.com", "events.amazonaws.com"]
      }]
    },
    {
      sid       = "MakeProfiles"
      actions   = ["iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:UntagInstanceProfile"]
      resources = local.instance_profile_arns
    },
  ] : grant if length(grant.resources) > 0]
}

data "aws_iam_policy_document" "apply_limits" {
  source_policy_documents = [data.aws_iam_policy_document.no_deletion.json]

  statement {
    sid       = "NoReleaseNoSecret"
    effect    = "Deny"
    actions   = ["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:LabelParameterVersion", "ssm:PutParameter"]
    resources = ["${local.parameter_arn}/pinion/*/release", "${local.parameter_arn}/pinion/*/config/*"]
  }

  statement {
    sid    = "BoundariesStay"
    effect = "Deny"
    actions = [
      "iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy",
      "iam:DeletePolicyVersion", "iam:DeleteRolePermissionsBoundary", "iam:DetachRolePolicy", "iam:SetDefaultPolicyVersion",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "RolesWithinBoundaries"
    effect    = "Deny"
    actions   = ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
    resources = ["*"]

    condition {
      test     = "ArnNotLike"
      variable = "iam:PermissionsBoundary"
      values   = local.boundary_arns
    }
  }

  statement {
    sid       = "OwnRoleStays"
    effect    = "Deny"
    actions   = ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole"]
    resources = ["${local.account}:role/${local.name}-apply"]
  }

  statement {
    sid       = "StateBucketStays"
    effect    = "Deny"
    actions   = ["s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:DeleteObjectVersion", "s3:PutBucketPolicy", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration"]
    resources = [local.state_bucket_arn, "${local.state_bucket_arn}/*"]
  }
}

# A boundary has room for 6,144 characters: services, and what is denied in them. What of these apply has stands in its grants; this gives nothing.
data "aws_iam_policy_document" "apply_boundary" {
  source_policy_documents = [data.aws_iam_policy_document.apply_limits.json]

  statement {
    sid = "Ceiling"
    actions = [
      for service in distinct([for action in flatten([for grants in local.apply_grants : grants[*].actions]) : split(":", action)[0]]) : "${service}:*"
    ]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "apply" {
  for_each = local.apply_grants

  source_policy_documents = each.key == "state" ? [data.aws_iam_policy_document.apply_limits.json] : []

  dynamic "statement" {
    for_each = each.value

    content {
      sid       = statement.value.sid
      actions   = statement.value.actions
      resources = statement.value.resources

      dynamic "condition" {
        for_each = try(statement.value.conditions, [])

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }
}

# All together they are longer than a role's inline policies may be.
resource "aws_iam_policy" "apply" {
  for_each = local.apply_grants

  name        = "${local.name}-apply-${each.key}"
  description = "What Terraform may make of ${var.app}: ${each.key}"
  policy      = data.aws_iam_policy_document.apply[each.key].json

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.apply[each.key].minified_json) <= 6144
      error_message = "The policy ${local.name}-apply-${each.key} has ${length(data.aws_iam_policy_document.apply[each.key].minified_json)} characters, and IAM takes 6,144: give the app or its environments shorter names, or keep some of them in another app."
    }
  }
}

resource "aws_iam_role_policy_attachment" "apply" {
  for_each = local.apply_grants

  role       = aws_iam_role.this["apply"].name
  policy_arn = aws_iam_policy.apply[each.key].arn
}
