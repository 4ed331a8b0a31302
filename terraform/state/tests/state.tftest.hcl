# Who may reach a state, and what is refused. The provider is mocked: no AWS is asked.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = {
      partition  = "aws"
      dns_suffix = "amazonaws.com"
    }
  }

  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    }
  }

  mock_resource "aws_s3_bucket" {
    defaults = {
      arn = "arn:aws:s3:::pinion-shop-state-123456789012"
    }
  }

  mock_resource "aws_kms_key" {
    defaults = {
      arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    }
  }
}

variables {
  region         = "eu-west-1"
  account_id     = "123456789012"
  app            = "shop"
  administrators = ["arn:aws:iam::123456789012:role/administrator"]
}

run "plan_apply_and_administrators_reach_a_state" {
  command = apply

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.bucket.statement : statement.condition[*].values if statement.sid == "TerraformAlone"])) == toset([
      "arn:aws:iam::123456789012:role/pinion-shop-plan",
      "arn:aws:iam::123456789012:role/pinion-shop-apply",
      "arn:aws:iam::123456789012:role/administrator",
    ])
    error_message = "somebody else is let in, or one of them is not"
  }

  assert {
    condition     = alltrue([for statement in data.aws_iam_policy_document.bucket.statement : statement.effect == "Deny"])
    error_message = "the bucket's policy lets somebody in whom IAM does not"
  }

  assert {
    condition     = alltrue([for statement in data.aws_iam_policy_document.key.statement : contains(statement.condition[*].variable, "aws:PrincipalArn") if contains(statement.actions, "kms:Decrypt")])
    error_message = "the key decrypts for whoever IAM lets"
  }
}

run "a_plan_writes_its_lock_and_no_state" {
  command = apply

  assert {
    condition     = [for statement in data.aws_iam_policy_document.bucket.statement : statement.resources if statement.sid == "PlanWritesNoState"] == [toset(["arn:aws:s3:::pinion-shop-state-123456789012/*.tfstate"])]
    error_message = "a lock, KEY.tfstate.tflock, must stay writable, a state must not"
  }
}

run "region_with_zone" {
  command = plan

  variables {
    region = "eu-west-1a"
  }

  expect_failures = [var.region]
}

run "account_too_short" {
  command = plan

  variables {
    account_id     = "1234567890"
    administrators = ["arn:aws:iam::1234567890:role/administrator"]
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

run "nobody_to_begin" {
  command = plan

  variables {
    administrators = []
  }

  expect_failures = [var.administrators]
}

run "session_instead_of_its_role" {
  command = plan

  variables {
    administrators = ["arn:aws:sts::123456789012:assumed-role/administrator/me"]
  }

  expect_failures = [var.administrators]
}

run "root_instead_of_a_role" {
  command = plan

  variables {
    administrators = ["arn:aws:iam::123456789012:root"]
  }

  expect_failures = [var.administrators]
}

run "identity_center_role_without_its_path" {
  command = plan

  variables {
    administrators = ["arn:aws:iam::123456789012:role/AWSReservedSSO_AdministratorAccess_0123456789abcdef"]
  }

  expect_failures = [var.administrators]
}

run "identity_center_roles_with_their_paths" {
  command = plan

  variables {
    administrators = [
      "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_AdministratorAccess_0123456789abcdef",
      "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_AdministratorAccess_0123456789abcdef",
    ]
  }

  assert {
    condition     = length(setsubtract(var.administrators, flatten([for statement in data.aws_iam_policy_document.bucket.statement : statement.condition[*].values if statement.sid == "TerraformAlone"]))) == 0
    error_message = "a role of IAM Identity Center is not let in"
  }
}

run "every_role_of_a_path" {
  command = plan

  variables {
    administrators = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [var.administrators]
}

run "earlier_states_gone_in_a_week" {
  command = plan

  variables {
    keep_days = 7
  }

  expect_failures = [var.keep_days]
}

run "tag_that_is_set_already" {
  command = plan

  variables {
    tags = { App = "other" }
  }

  expect_failures = [var.tags]
}

run "tag_of_aws" {
  command = plan

  variables {
    tags = { "aws:owner" = "shop" }
  }

  expect_failures = [var.tags]
}

run "null_is_as_left_out" {
  command = plan

  variables {
    keep_days = null
    tags      = null
  }

  assert {
    condition     = var.keep_days == 365 && length(var.tags) == 0
    error_message = "a null is not the default"
  }
}
