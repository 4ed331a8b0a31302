# What apply makes, by theme. Whatever has no name of ours before it exists is changed by its tag alone.

locals {
  network_grants = [
    # No CreateVpc: the default security group of a new VPC has no tag, and whoever closes and tags one that has none could do it to any. An
    # administrator makes a VPC.
    {
      sid = "MakeNetwork"
      actions = [
        "ec2:AllocateAddress", "ec2:CreateInternetGateway", "ec2:CreateLaunchTemplate", "ec2:CreateNatGateway", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup",
        "ec2:CreateSubnet", "ec2:CreateVpcEndpoint",
      ]
      resources = ["${local.ec2_arn}:*"]
    },
    # Subnets and route tables of an existing VPC have its owner's tags; the endpoint itself has ours.
    { sid = "EnterNetwork", actions = ["ec2:ModifyVpcEndpoint"], resources = ["${local.ec2_arn}:route-table/*", "${local.ec2_arn}:subnet/*"] },
    # A new rule has no tag to ask for (Service Authorization Reference); its group has ours.
    { sid = "AddRules", actions = ["ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"], resources = ["${local.ec2_arn}:security-group-rule/*"] },
    {
      sid = "ChangeNetwork"
      actions = [
        "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateLaunchTemplateVersion", "ec2:CreateRoute", "ec2:CreateTags", "ec2:DeleteInternetGateway",
        "ec2:DeleteLaunchTemplate", "ec2:DeleteNatGateway", "ec2:DeleteRoute", "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet",
        "ec2:DeleteTags", "ec2:DeleteVpc", "ec2:DeleteVpcEndpoints", "ec2:DetachInternetGateway", "ec2:DisassociateAddress", "ec2:DisassociateRouteTable",
        "ec2:ModifyLaunchTemplate", "ec2:ModifySecurityGroupRules", "ec2:ModifySubnetAttribute", "ec2:ModifyVpcAttribute", "ec2:ModifyVpcEndpoint", "ec2:ReleaseAddress", "ec2:ReplaceRoute",
        "ec2:ReplaceRouteTableAssociation", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
        "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
      ]
      resources  = ["${local.ec2_arn}:*"]
      conditions = local.ours
    },
    {
      sid       = "TagWhatIsMade"
      actions   = ["ec2:CreateTags"]
      resources = ["${local.ec2_arn}:*"]
      conditions = [
        { test = "Null", variable = "ec2:CreateAction", values = ["false"] },
        { test = "StringEquals", variable = "aws:RequestTag/App", values = [var.app] },
      ]
    },
    # Auto Scaling asks for it in the caller's name when a group is made.
    { sid = "NameTemplate", actions = ["ec2:RunInstances"], resources = ["${local.ec2_arn}:*", "arn:${local.partition}:ec2:${var.region}::image/*"], conditions = [{ test = "ArnLike", variable = "ec2:LaunchTemplate", values = ["${local.ec2_arn}:launch-template/*"] }] },
  ]

  balancer_arns = flatten([for name in local.order : [
    for kind in ["listener/app", "loadbalancer/app", "targetgroup"] : "${local.regional.elasticloadbalancing}:${kind}/${local.name}-${name}/*"
  ]])

  serving_grants = [for grant in [
    {
      sid = "MakeBalancers"
      actions = [
        "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup",
        "elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:ModifyListener",
        "elasticloadbalancing:ModifyListenerAttributes", "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyTargetGroup",
        "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetIpAddressType",
        "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
      ]
      resources = local.balancer_arns
    },
    {
      sid = "MakeGroups"
      actions = [
        "autoscaling:AttachLoadBalancerTargetGroups", "autoscaling:AttachTrafficSources", "autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags",
        "autoscaling:DeleteAutoScalingGroup", "autoscaling:DeleteLifecycleHook", "autoscaling:DeletePolicy", "autoscaling:DeleteTags",
        "autoscaling:DetachLoadBalancerTargetGroups", "autoscaling:DetachTrafficSources", "autoscaling:DisableMetricsCollection",
        "autoscaling:EnableMetricsCollection", "autoscaling:PutLifecycleHook", "autoscaling:PutScalingPolicy", "autoscaling:SuspendProcesses",
        "autoscaling:UpdateAutoScalingGroup",
      ]
      resources = local.group_arns
    },
    {
      sid       = "WriteDocuments"
      actions   = ["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"]
      resources = local.documents
    },
    { sid = "EnterNames", actions = ["route53:ChangeResourceRecordSets"], resources = local.zone_arns },
    { sid = "SeeNamesEntered", actions = ["route53:GetChange"], resources = ["arn:${local.partition}:route53:::change/*"] },
    { sid = "DropChannel", actions = ["ssm:DeleteParameter"], resources = [local.image_parameter_arn] },
    {
      sid       = "MakeWatching"
      actions   = ["cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource"]
      resources = ["${local.regional.cloudwatch}:alarm:${local.name}-*", "arn:${local.partition}:cloudwatch::${var.account_id}:dashboard/${local.name}-*"]
    },
    {
      sid       = "MakeLogGroups"
      actions   = ["logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteRetentionPolicy", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource"]
      resources = ["${local.regional.logs}:log-group:/aws/codebuild/${local.name}-*", "${local.regional.logs}:log-group:/pinion/${var.app}/*"]
    },
  ] : grant if length(grant.resources) > 0]

  storage_grants = [
    {
      sid       = "MakeKeys"
      actions   = ["kms:CreateKey", "kms:TagResource"]
      resources = ["*"]
      conditions = [
        { test = "StringEquals", variable = "aws:RequestTag/App", values = [var.app] },
        # A key that is new has no tag yet; one of another app's has.
        { test = "StringEqualsIfExists", variable = "aws:ResourceTag/App", values = [var.app] },
      ]
    },
    {
      sid        = "ChangeKeys"
      actions    = ["kms:CreateAlias", "kms:DeleteAlias", "kms:DisableKeyRotation", "kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription"]
      resources  = ["${local.regional.kms}:key/*"]
      conditions = local.ours
    },
    { sid = "NameKeys", actions = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"], resources = ["${local.regional.kms}:alias/pinion/${var.app}/*"] },
    {
      sid = "MakeBuckets"
      actions = [
        "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:TagResource", "s3:UntagResource",
      ]
      resources = local.bucket_arns
    },
  ]

  delivery_grants = [
    {
      sid = "MakePipelines"
      actions = [
        "codebuild:CreateProject", "codebuild:DeleteProject", "codebuild:UpdateProject", "codepipeline:CreatePipeline", "codepipeline:DeletePipeline",
        "codepipeline:TagResource", "codepipeline:UntagResource", "codepipeline:UpdatePipeline",
      ]
      resources = ["${local.regional.codebuild}:project/${local.name}-*", "${local.regional.codepipeline}:${local.name}-*"]
    },
    {
      sid        = "PassConnection"
      actions    = ["${local.connection_service}:PassConnection"]
      resources  = [var.repository.connection_arn]
      conditions = [{ test = "StringEquals", variable = "${local.connection_service}:PassedToService", values = ["codepipeline.amazonaws.com"] }]
    },
    {
      sid = "MakeNotices"
      actions = [
        "events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:TagResource", "events:UntagResource", "sns:CreateTopic",
        "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:Unsubscribe", "sns:UntagResource",
      ]
      resources = ["${local.regional.events}:rule/${local.name}-*", "${local.regional.sns}:${local.name}-*"]
    },
    # Refuses to apply while a refresh runs.
    { sid = "SeeRefreshes", actions = ["autoscaling:DescribeInstanceRefreshes"], resources = ["*"] },
  ]
}
