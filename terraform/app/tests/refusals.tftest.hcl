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
  terraform     = { version = "1.11.4", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
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
    account_id    = "1234567890"
    state_key_arn = "arn:aws:kms:eu-west-1:1234567890:key/1"
  }

  expect_failures = [var.account_id]
}

run "app_with_capital" {
  command = plan

  variables {
    app = "Shop"
  }

  expect_failures = [var.app]
}

run "tag_that_is_set_already" {
  command = plan

  variables {
    tags = { App = "other" }
  }

  expect_failures = [var.tags]
}

run "environment_that_ends_with_hyphen" {
  command = plan

  variables {
    environments = [{ name = "staging-" }]
  }

  expect_failures = [var.environments]
}

run "environment_twice" {
  command = plan

  variables {
    environments = [{ name = "staging" }, { name = "staging" }]
  }

  expect_failures = [var.environments]
}

run "environment_with_the_name_of_a_role" {
  command = plan

  variables {
    environments = [{ name = "plan" }]
  }

  expect_failures = [var.environments]
}

run "deploy_longer_than_a_build" {
  command = plan

  variables {
    environments = [{ name = "staging", expected_minutes = 696 }]
  }

  expect_failures = [var.environments]
}

run "zone_by_its_name" {
  command = plan

  variables {
    environments = [{ name = "staging", zone_id = "example.com" }]
  }

  expect_failures = [var.environments]
}

run "connection_by_its_name" {
  command = plan

  variables {
    repository = { connection_arn = "github", name = "example/shop" }
  }

  expect_failures = [var.repository]
}

run "repository_with_host" {
  command = plan

  variables {
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "https://github.com/example/shop" }
  }

  expect_failures = [var.repository]
}

run "branch_with_wildcard" {
  command = plan

  variables {
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "example/shop", branch = "release/*" }
  }

  expect_failures = [var.repository]
}

run "folder_that_leaves_the_repository" {
  command = plan

  variables {
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "example/shop", app_dir = "../shop" }
  }

  expect_failures = [var.repository]
}

run "app_and_pinion_in_one_folder" {
  command = plan

  variables {
    repository = { connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0", name = "example/shop", pinion_dir = "." }
  }

  expect_failures = [var.repository]
}

run "image_that_changes_by_itself" {
  command = plan

  variables {
    build_image = "aws/codebuild/standard:7.0"
  }

  expect_failures = [var.build_image]
}

run "terraform_too_old" {
  command = plan

  variables {
    terraform = { version = "1.9.8", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  }

  expect_failures = [var.terraform]
}

run "terraform_without_digest" {
  command = plan

  variables {
    terraform = { version = "1.11.4", sha256 = "latest" }
  }

  expect_failures = [var.terraform]
}

run "state_key_of_another_account" {
  command = plan

  variables {
    state_key_arn = "arn:aws:kms:eu-west-1:210987654321:key/1"
  }

  expect_failures = [var.state_key_arn]
}

run "address_without_domain" {
  command = plan

  variables {
    notify_emails = ["shop"]
  }

  expect_failures = [var.notify_emails]
}

run "log_days_that_are_not_offered" {
  command = plan

  variables {
    log_days = 10
  }

  expect_failures = [var.log_days]
}

run "subnet_by_its_name" {
  command = plan

  variables {
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "builders"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "0000000000000000000000000000000000000000000000000000000000000000"
      amazon_plugin_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "0", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "0" }
    }
  }

  expect_failures = [var.bake]
}

run "image_key_by_alias" {
  command = plan

  variables {
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:alias/images"
      packer_version       = "1.14.2"
      packer_sha256        = "0000000000000000000000000000000000000000000000000000000000000000"
      amazon_plugin_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "0", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "0" }
    }
  }

  expect_failures = [var.bake]
}

run "packer_too_old" {
  command = plan

  variables {
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.6.6"
      packer_sha256        = "0000000000000000000000000000000000000000000000000000000000000000"
      amazon_plugin_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "0", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "0" }
    }
  }

  expect_failures = [var.bake]
}

run "plugin_without_digest" {
  command = plan

  variables {
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "0000000000000000000000000000000000000000000000000000000000000000"
      amazon_plugin_sha256 = ""
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "0", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "0" }
    }
  }

  expect_failures = [var.bake]
}

run "agent_left_out" {
  command = plan

  variables {
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "0000000000000000000000000000000000000000000000000000000000000000"
      amazon_plugin_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
      agents               = { ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "0" }
    }
  }

  expect_failures = [var.bake]
}
