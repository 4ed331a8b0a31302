# Every wrong input is refused by its own variable, before any call.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region        = "eu-west-1"
  account_id    = "123456789012"
  app           = "shop"
  environments  = [{ name = "staging" }, { name = "prod-eu", expected_minutes = 100 }, { name = "prod-us" }]
  repository    = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/00000000-0000-0000-0000-000000000000", name = "example/shop" }
  build_image   = "aws/codebuild/standard:7.0-26.07.29"
  terraform     = { version = "1.11.4", sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
  state_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}

run "region_with_zone" {
  command = plan

  variables {
    region        = "eu-west-1a"
    state_key_arn = "arn:aws:kms:eu-west-1a:123456789012:key/1"
  }

  expect_failures = [var.region]
}

run "account_too_short" {
  command = plan

  variables {
    account_id = "1234567890"
  }

  expect_failures = [var.account_id]
}

run "wrong_inputs_1" {
  command = plan

  variables {
    # app with capital
    app = "Shop"

    # tag that is set already
    tags = { App = "other" }

    # environment that ends with hyphen
    environments = [{ name = "staging-" }]

    # connection by its name
    repository = { connection_arn = "github", name = "example/shop" }

    # image that changes by itself
    build_image = "aws/codebuild/standard:7.0"

    # terraform too old
    terraform = { version = "1.9.8", sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }

    # address without domain
    notify_emails = ["shop"]

    # log days that are not offered
    log_days = 10

    # subnet by its name
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "builders"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  expect_failures = [var.app, var.bake, var.build_image, var.environments, var.log_days, var.notify_emails, var.repository, var.tags, var.terraform]
}

run "wrong_inputs_2" {
  command = plan

  variables {
    # environment twice
    environments = [{ name = "staging" }, { name = "staging" }]

    # repository with host
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "https://github.com/example/shop" }

    # terraform without digest
    terraform = { version = "1.11.4", sha256 = "latest" }

    # state key of another account
    state_key_arn = "arn:aws:kms:eu-west-1:210987654321:key/1"

    # image key by alias
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:alias/images"
      packer_version       = "1.14.2"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  expect_failures = [var.bake, var.environments, var.repository, var.state_key_arn, var.terraform]
}

run "wrong_inputs_3" {
  command = plan

  variables {
    # environment with the name of a role
    environments = [{ name = "plan" }]

    # branch with wildcard
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "example/shop", branch = "release/*" }

    # packer too old
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.6.6"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  expect_failures = [var.bake, var.environments, var.repository]
}

run "wrong_inputs_4" {
  command = plan

  variables {
    # deploy longer than a build
    environments = [{ name = "staging", expected_minutes = 696 }]

    # folder that leaves the repository
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "example/shop", app_dir = "../shop" }

    # plugin without digest
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = ""
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  expect_failures = [var.bake, var.environments, var.repository]
}

run "wrong_inputs_5" {
  command = plan

  variables {
    # zone by its name
    environments = [{ name = "staging", zone_id = "example.com" }]

    # app and pinion in one folder
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "example/shop", pinion_dir = "." }

    # agent left out
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      agents               = { ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  expect_failures = [var.bake, var.environments, var.repository]
}

run "wrong_inputs_6" {
  command = plan

  variables {
    # tag of AWS
    tags = { "aws:owner" = "shop" }

    # branch as a ref
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "example/shop", branch = "refs/heads/main" }

    # digest of the example
    terraform = { version = "1.11.4", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }

    # packer's digest of an example
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "0000000000000000000000000000000000000000000000000000000000000000"
      amazon_plugin_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  expect_failures = [var.bake, var.repository, var.tags, var.terraform]
}

run "wrong_inputs_7" {
  command = plan

  variables {
    # repository as it is cloned
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "example/shop.git" }

    # plugin's digest of an example
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  expect_failures = [var.bake, var.repository]
}

run "wrong_inputs_8" {
  command = plan

  variables {
    # connection of another account
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:210987654321:connection/0", name = "example/shop" }

    # agent without a version
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      agents               = { cloudwatch_agent_version = "", cloudwatch_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  expect_failures = [var.bake, var.repository]
}

run "agent_without_a_digest" {
  command = plan

  variables {
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  expect_failures = [var.bake]
}

run "agent_with_the_digest_of_an_example" {
  command = plan

  variables {
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
    }
  }

  expect_failures = [var.bake]
}

run "connection_of_another_region" {
  command = plan

  variables {
    repository = { connection_arn = "arn:aws:codeconnections:us-east-1:123456789012:connection/0", name = "example/shop" }
  }

  assert {
    condition     = aws_codepipeline.infrastructure.stage[0].action[0].configuration.ConnectionArn == "arn:aws:codeconnections:us-east-1:123456789012:connection/0"
    error_message = "AWS has a connection in every Region, whatever its ARN says"
  }
}
