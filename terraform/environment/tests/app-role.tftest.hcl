# In a file of its own, since a run starts from the state of the one before: user data is Terraform's only at the template's creation.

mock_provider "aws" {
  source = "./tests/mocks"
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

run "app_role_is_in_document_and_user_data" {
  command = apply

  variables {
    app_role = { statements = [{ actions = ["s3:GetObject", "sqs:SendMessage"], resources = ["arn:aws:s3:::uploads/*"] }] }
  }

  assert {
    condition     = jsondecode(aws_ssm_parameter.infrastructure.value).appRoleArn == aws_iam_role.app[0].arn && jsondecode(base64decode(aws_launch_template.fleet.user_data)).appRoleArn == aws_iam_role.app[0].arn
    error_message = "the agent is not told of the app's role"
  }

  assert {
    condition     = length(data.aws_iam_policy_document.s3_endpoint.statement) == 2 && data.aws_iam_policy_document.s3_endpoint.statement[1].actions == toset(["s3:GetObject"])
    error_message = "the S3 endpoint lets the app's own calls not pass, or passes others"
  }
}
