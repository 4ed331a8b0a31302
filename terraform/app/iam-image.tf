# What packer/amazon.pkr.hcl asks of EC2, and CodeBuild to run in the builder's subnet.

locals {
  ec2_arn = local.regional.ec2

  # Packer's own tags: nothing else in the account has them.
  baked = [{ test = "Null", variable = "aws:ResourceTag/PinionVersion", values = ["false"] }]
  # The same of what is being made
  marks = [{ test = "Null", variable = "aws:RequestTag/PinionVersion", values = ["false"] }]

  image_arns = [for kind in ["image", "snapshot"] : "arn:${local.partition}:ec2:${var.region}::${kind}/*"]

  # Without images to bake there is no role that these are given to.
  baker = { for name in ["vpc_id", "subnet_id", "security_group_id", "kms_key_arn"] : name => try(var.bake[name], "") }

  in_subnet = [{ test = "ArnEquals", variable = "ec2:Subnet", values = ["${local.ec2_arn}:subnet/${local.baker.subnet_id}"] }]

  image_grants = concat(local.source_grants.pipeline, [
    # Describe actions know no resource (Service Authorization Reference).
    {
      sid = "Look"
      actions = [
        "ec2:DescribeDhcpOptions", "ec2:DescribeImages", "ec2:DescribeInstanceStatus", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstances",
        "ec2:DescribeKeyPairs", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRegions", "ec2:DescribeSecurityGroups", "ec2:DescribeSnapshots",
        "ec2:DescribeSubnets", "ec2:DescribeTags", "ec2:DescribeVolumes", "ec2:DescribeVpcs",
      ]
      resources = ["*"]
    },
    {
      sid     = "LaunchBuilder"
      actions = ["ec2:RunInstances"]
      resources = concat(
        [for kind in ["instance", "key-pair", "network-interface", "security-group", "volume"] : "${local.ec2_arn}:${kind}/*"],
        ["${local.ec2_arn}:subnet/${local.baker.subnet_id}", "arn:${local.partition}:ec2:${var.region}::image/*"],
      )
    },
    { sid = "LogIntoBuilder", actions = ["ec2:CreateKeyPair", "ec2:DeleteKeyPair"], resources = ["${local.ec2_arn}:key-pair/packer_*"] },
    { sid = "MakeBuilderGroup", actions = ["ec2:CreateSecurityGroup"], resources = ["${local.ec2_arn}:security-group/*", "${local.ec2_arn}:vpc/${local.baker.vpc_id}"] },
    {
      sid        = "UseBuilder"
      actions    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup", "ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:TerminateInstances"]
      resources  = ["${local.ec2_arn}:instance/*", "${local.ec2_arn}:security-group/*"]
      conditions = local.baked
    },
    { sid = "TakeFromBuilder", actions = ["ec2:CreateImage"], resources = ["${local.ec2_arn}:instance/*"], conditions = local.baked },
    { sid = "MakeImage", actions = ["ec2:CreateImage"], resources = local.image_arns, conditions = local.marks },
    {
      sid        = "MarkImage"
      actions    = ["ec2:EnableImageDeprecation", "ec2:EnableImageDeregistrationProtection", "ec2:ModifyImageAttribute"]
      resources  = ["arn:${local.partition}:ec2:${var.region}::image/*"]
      conditions = local.baked
    },
    # Only while it is made: whoever could tag what is there could have it under UseBuilder.
    {
      sid       = "TagWhatIsMade"
      actions   = ["ec2:CreateTags"]
      resources = concat([for kind in ["instance", "key-pair", "network-interface", "security-group", "volume"] : "${local.ec2_arn}:${kind}/*"], local.image_arns)
      conditions = concat(local.marks, [
        { test = "StringEquals", variable = "ec2:CreateAction", values = ["CreateImage", "CreateKeyPair", "CreateSecurityGroup", "RunInstances"] },
      ])
    },
    # Packer makes an image and its snapshots with the tags of the run, and gives them those of the image once they are there (amazon plugin 1.8.0).
    { sid = "TagImage", actions = ["ec2:CreateTags"], resources = local.image_arns, conditions = concat(local.baked, local.marks) },
    {
      sid       = "EncryptImage"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      resources = [local.baker.kms_key_arn]
    },
    {
      sid        = "LetEc2Encrypt"
      actions    = ["kms:CreateGrant"]
      resources  = [local.baker.kms_key_arn]
      conditions = [{ test = "Bool", variable = "kms:GrantIsForAWSResource", values = ["true"] }]
    },
    { sid = "WriteChannel", actions = ["ssm:GetParameter", "ssm:PutParameter"], resources = [local.image_parameter_arn] },
    # CodeBuild in a VPC (CodeBuild User Guide, "Allow CodeBuild access to AWS services required to create a VPC network interface").
    { sid = "JoinSubnet", actions = ["ec2:CreateNetworkInterface"], resources = ["${local.ec2_arn}:network-interface/*", "${local.ec2_arn}:security-group/${local.baker.security_group_id}", "${local.ec2_arn}:subnet/${local.baker.subnet_id}"] },
    { sid = "LeaveSubnet", actions = ["ec2:DeleteNetworkInterface"], resources = ["${local.ec2_arn}:network-interface/*"], conditions = local.in_subnet },
    {
      sid        = "LendInterface"
      actions    = ["ec2:CreateNetworkInterfacePermission"]
      resources  = ["${local.ec2_arn}:network-interface/*"]
      conditions = concat(local.in_subnet, [{ test = "StringEquals", variable = "ec2:AuthorizedService", values = ["codebuild.amazonaws.com"] }])
    },
  ])
}
