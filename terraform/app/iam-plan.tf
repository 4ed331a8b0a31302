# Plan reads what both roots made, and their states; it writes its lock and the plan. No value of config, no record of a release.

locals {
  # Buckets of Terraform's own making, those of the environments included
  bucket_arns = concat([for bucket in aws_s3_bucket.this : bucket.arn], [for name in local.order : "arn:${local.partition}:s3:::${local.name}-${name}-requests-${var.account_id}"])

  role_arns             = concat([for name in local.order : "${local.account}:role/${local.name}-${name}-*"], [for role in keys(local.services) : "${local.account}:role/${local.name}-${role}"])
  policy_arns           = concat([for name in local.order : "${local.account}:policy/${local.name}-${name}-*"], [for role in keys(local.services) : "${local.account}:policy/${local.name}-${role}-*"])
  instance_profile_arns = [for name in local.order : "${local.account}:instance-profile/${local.name}-${name}-runtime"]

  ours = [{ test = "StringEquals", variable = "aws:ResourceTag/App", values = [var.app] }]

  # A statement without a resource is none.
  environment_grants = [for grant in [
    { sid = "ReadProfiles", actions = ["iam:GetInstanceProfile"], resources = local.instance_profile_arns },
    { sid = "ReadDocuments", actions = ["ssm:GetParameter", "ssm:ListTagsForResource"], resources = local.documents },
    { sid = "ReadZones", actions = ["route53:GetHostedZone", "route53:ListResourceRecordSets"], resources = local.zone_arns },
  ] : grant if length(grant.resources) > 0]

  zone_arns = [for id in compact(var.environments[*].zone_id) : "arn:${local.partition}:route53:::hostedzone/${id}"]

  # What refreshing a state asks. The * of an action ends Describe, in three services whose descriptions know no resource and hold no secret:
  # each release of the provider asks for others, and a plan that is denied one shows nothing.
  look_grants = concat(local.environment_grants, [
    { sid = "Describe", actions = ["autoscaling:Describe*", "ec2:Describe*", "elasticloadbalancing:Describe*"], resources = ["*"] },
    # These know no resource (Service Authorization Reference).
    { sid = "List", actions = ["cloudwatch:DescribeAlarms", "kms:ListAliases", "logs:DescribeLogGroups", "ssm:DescribeParameters"], resources = ["*"] },
    { sid = "ReadChannel", actions = ["ssm:GetParameter", "ssm:GetParameters"], resources = [local.image_parameter_arn] },
    { sid = "ReadRoles", actions = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies"], resources = local.role_arns },
    { sid = "ReadPolicies", actions = ["iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListPolicyVersions"], resources = local.policy_arns },
    { sid = "ReadKeys", actions = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"], resources = ["${local.regional.kms}:key/*"], conditions = local.ours },
    {
      sid = "ReadBuckets"
      actions = [
        "s3:GetAccelerateConfiguration", "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLocation", "s3:GetBucketLogging", "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetBucketRequestPayment", "s3:GetBucketTagging",
        "s3:GetBucketVersioning", "s3:GetBucketWebsite", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:ListTagsForResource",
      ]
      resources = local.bucket_arns
    },
    {
      sid     = "ReadWatching"
      actions = ["cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource", "events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule", "logs:ListTagsForResource", "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes", "sns:ListTagsForResource"]
      resources = [
        "${local.regional.cloudwatch}:alarm:${local.name}-*", "arn:${local.partition}:cloudwatch::${var.account_id}:dashboard/${local.name}-*", "${local.regional.events}:rule/${local.name}-*",
        "${local.regional.logs}:log-group:/aws/codebuild/${local.name}-*", "${local.regional.logs}:log-group:/pinion/${var.app}/*", "${local.regional.sns}:${local.name}-*",
      ]
    },
    {
      sid       = "ReadPipelines"
      actions   = ["codebuild:BatchGetProjects", "codepipeline:GetPipeline", "codepipeline:ListTagsForResource"]
      resources = ["${local.regional.codebuild}:project/${local.name}-*", "${local.regional.codepipeline}:${local.name}-*"]
    },
  ])

  state_grants = [
    { sid = "FindStates", actions = ["s3:ListBucket"], resources = [local.state_bucket_arn] },
    { sid = "Lock", actions = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], resources = [for key in local.state_keys : "${local.state_bucket_arn}/${key}.tflock"] },
    { sid = "ReadStates", actions = ["s3:GetObject"], resources = [for key in local.state_keys : "${local.state_bucket_arn}/${key}"] },
    { sid = "DecryptStates", actions = ["kms:Decrypt", "kms:GenerateDataKey"], resources = [var.state_key_arn], conditions = local.by_s3 },
  ]

  # Parameters by their names all the same: among them are values of config.
  parameter_look = [for grant in local.look_grants : grant if contains(["ReadChannel", "ReadDocuments"], grant.sid)]
  look_ceiling = concat(local.parameter_look, [
    { sid = "Look", actions = distinct(flatten([for grant in local.look_grants : grant.actions if !contains(local.parameter_look[*].sid, grant.sid)])), resources = ["*"] },
  ])

  plan_grants = concat(local.source_grants.plans, local.state_grants, local.look_grants, local.keep_plan_grants)
  keep_plan_grants = [
    { sid = "KeepPlan", actions = ["s3:PutObject"], resources = ["${aws_s3_bucket.this["plans"].arn}/*"] },
    { sid = "EncryptPlan", actions = ["kms:GenerateDataKey"], resources = [aws_kms_key.bucket["plans"].arn], conditions = local.by_s3 },
  ]
}
