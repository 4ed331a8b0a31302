# What conditions make of the inputs. The provider is mocked: no AWS is asked.

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

run "first_environment_is_deployed_without_approval_and_each_later_one_after_it" {
  command = apply

  assert {
    condition     = aws_codepipeline.app[0].stage[*].name == tolist(["source", "build", "staging", "prod-eu", "prod-us"])
    error_message = "the stages are not the environments in their order"
  }

  assert {
    condition     = aws_codepipeline.app[0].stage[2].action[*].name == tolist(["deploy", "keep-source"]) && alltrue([for stage in slice(aws_codepipeline.app[0].stage, 3, 5) : stage.action[*].name == tolist(["approve", "release", "deploy", "keep-source"])])
    error_message = "an environment after the first can be deployed without approval and a release of its own"
  }

  assert {
    condition     = [for at in [3, 4] : jsondecode(aws_codepipeline.app[0].stage[at].action[1].configuration.EnvironmentVariables)[0].value] == ["staging:#{release-staging.PINION_RELEASE}:#{release-staging.PINION_RECORD_SHA256}", "prod-eu:#{release-prod-eu.PINION_RELEASE}:#{release-prod-eu.PINION_RECORD_SHA256}"]
    error_message = "an environment takes another release than that of the one before"
  }

  assert {
    condition = alltrue([for at, env in ["staging", "prod-eu", "prod-us"] : {
      for variable in jsondecode(one([for action in aws_codepipeline.app[0].stage[at + 2].action : action if action.name == "deploy"]).configuration.EnvironmentVariables) : variable.name => variable.value
    } == { PINION_RELEASE = "#{release-${env}.PINION_RELEASE}", PINION_RECORD_SHA256 = "#{release-${env}.PINION_RECORD_SHA256}" }])
    error_message = "a deploy is not given the number and the digest of its environment's release"
  }

  assert {
    condition     = length(setsubtract(flatten([for stage in aws_codepipeline.app[0].stage : [for action in stage.action : compact([action.namespace])]]), ["release-staging", "release-prod-eu", "release-prod-us"])) == 0
    error_message = "variables are read from a namespace that no action has"
  }

  assert {
    condition = [for env in ["staging", "prod-eu", "prod-us"] : "${aws_s3_bucket.this["pipeline"].id}/${one([for stage in aws_codepipeline.app[0].stage : one([for action in stage.action : action if action.name == "keep-source"]) if stage.name == env]).configuration.ObjectKey}"] == [
      for env in ["staging", "prod-eu", "prod-us"] : aws_codebuild_project.rollback[env].source[0].location
    ]
    error_message = "a rollback works with the source of another environment, or with none"
  }
}

run "each_project_has_the_role_that_its_environment_trusts" {
  command = apply

  assert {
    condition = { for key, project in aws_codebuild_project.this : key => project.service_role if can(regex("^(deploy|release)-", key)) } == {
      deploy-staging  = "arn:aws:iam::123456789012:role/pinion-shop-staging-deploy"
      deploy-prod-eu  = "arn:aws:iam::123456789012:role/pinion-shop-prod-eu-deploy"
      deploy-prod-us  = "arn:aws:iam::123456789012:role/pinion-shop-prod-us-deploy"
      release-prod-eu = "arn:aws:iam::123456789012:role/pinion-shop-prod-eu-release"
      release-prod-us = "arn:aws:iam::123456789012:role/pinion-shop-prod-us-release"
    }
    error_message = "a project takes another role than its environment made for it"
  }

  assert {
    condition     = aws_codebuild_project.this["deploy-staging"].build_timeout == 165 && aws_codebuild_project.this["deploy-prod-eu"].build_timeout == 375 && aws_codebuild_project.rollback["prod-eu"].build_timeout == 375
    error_message = "a build ends before its deploy stops watching"
  }

  assert {
    condition     = toset(keys(aws_codebuild_project.rollback)) == toset(["staging", "prod-eu", "prod-us"]) && alltrue([for project in aws_codebuild_project.rollback : project.source[0].type == "S3"])
    error_message = "an environment cannot be gone back in without the repository"
  }

  assert {
    condition     = alltrue([for project in concat(values(aws_codebuild_project.this), values(aws_codebuild_project.rollback)) : startswith(project.source[0].buildspec, "#") && project.environment[0].privileged_mode != true && alltrue([for variable in project.environment[0].environment_variable : !can(regex("(?i)secret|password|token", variable.name))])])
    error_message = "a project takes its buildspec from the branch, is privileged, or has a secret in the plain"
  }

  assert {
    condition     = toset(values(aws_cloudwatch_log_group.builds)[*].name) == toset([for project in concat(values(aws_codebuild_project.this), values(aws_codebuild_project.rollback)) : "/aws/codebuild/${project.name}"])
    error_message = "a project has no log group of its own"
  }

  assert {
    condition = {
      for project in concat(values(aws_codebuild_project.this), values(aws_codebuild_project.rollback)) : project.name => one([for variable in project.environment[0].environment_variable : variable.value if variable.name == "PINION_ENV"])
      } == {
      pinion-shop-apply            = null
      pinion-shop-build            = "staging"
      pinion-shop-deploy-staging   = "staging"
      pinion-shop-deploy-prod-eu   = "prod-eu"
      pinion-shop-deploy-prod-us   = "prod-us"
      pinion-shop-plan             = null
      pinion-shop-release-prod-eu  = "prod-eu"
      pinion-shop-release-prod-us  = "prod-us"
      pinion-shop-rollback-staging = "staging"
      pinion-shop-rollback-prod-eu = "prod-eu"
      pinion-shop-rollback-prod-us = "prod-us"
    }
    error_message = "a project works on another environment than its name says"
  }
}

run "artifacts_do_not_expire_and_files_of_executions_do" {
  command = apply

  assert {
    condition = { for name, bucket in aws_s3_bucket_lifecycle_configuration.this : name => [
      for rule in bucket.rule : try(rule.filter[0].prefix, null) if length(rule.expiration) + length(rule.noncurrent_version_expiration) + length(rule.transition) + length(rule.noncurrent_version_transition) > 0
    ] } == { artifacts = [], pipeline = ["pinion-shop-app"], plans = [""] }
    error_message = "an artifact, or the source of a rollback, expires; or what an execution leaves does not"
  }
}

run "what_fails_is_told" {
  command = apply

  assert {
    condition = { for key, rule in aws_cloudwatch_event_rule.failed : key => jsondecode(rule.event_pattern).detail } == {
      pipelines = { pipeline = ["pinion-shop-app", "pinion-shop-infrastructure"], state = ["FAILED"] }
      rollbacks = { project-name = ["pinion-shop-rollback-staging", "pinion-shop-rollback-prod-eu", "pinion-shop-rollback-prod-us"], build-status = ["FAILED", "FAULT", "STOPPED", "TIMED_OUT"] }
    }
    error_message = "a pipeline or a rollback fails and nobody is told, or one that succeeds is"
  }

  assert {
    condition     = alltrue([for key, target in aws_cloudwatch_event_target.failed : target.arn == aws_sns_topic.pipelines.arn && target.rule == aws_cloudwatch_event_rule.failed[key].name])
    error_message = "a failure is told elsewhere"
  }
}

run "build_can_touch_the_first_environment_alone_and_deploy_none" {
  command = apply

  assert {
    condition     = length([for statement in data.aws_iam_policy_document.grants["build"].statement : statement if strcontains(join(" ", statement.resources), "/prod-")]) == 0
    error_message = "the role that runs the app's own code reaches a later environment"
  }

  assert {
    condition     = length(setsubtract(distinct([for action in flatten([for statement in data.aws_iam_policy_document.boundary["build"].statement : statement.actions]) : split(":", action)[0]]), ["kms", "logs", "s3", "ssm"])) == 0
    error_message = "the role that runs the app's own code has a service that it builds nothing with"
  }

  assert {
    condition     = toset(keys(aws_iam_role.this)) == toset(["build", "plan", "apply", "pipeline-app", "pipeline-infrastructure", "propose"]) && alltrue([for role in aws_iam_role.this : role.permissions_boundary != null])
    error_message = "a role has no boundary, or is there without anything that takes it"
  }
}

run "each_plan_is_approved_by_its_digest_and_applied_by_it" {
  command = apply

  assert {
    condition     = aws_codepipeline.infrastructure.stage[*].name == tolist(["source", "staging", "prod-eu", "prod-us", "pipelines"])
    error_message = "the pipeline changes itself before all others are done"
  }

  assert {
    condition = alltrue([for at, name in ["staging", "prod-eu", "prod-us", "app"] : (
      strcontains(aws_codepipeline.infrastructure.stage[at + 1].action[1].configuration.CustomData, "#{plan-${name}.PLAN_SHA256}")
      && aws_codepipeline.infrastructure.stage[at + 1].action[2].configuration.PrimarySource == "plan-${name}"
      && contains(jsondecode(aws_codepipeline.infrastructure.stage[at + 1].action[2].configuration.EnvironmentVariables), { name = "PLAN_SHA256", value = "#{plan-${name}.PLAN_SHA256}", type = "PLAINTEXT" })
    )])
    error_message = "another file than the approved plan could be applied"
  }
}

run "before_there_is_an_environment_only_infrastructure_is_delivered" {
  command = apply

  variables {
    environments = []
  }

  assert {
    condition     = length(aws_codepipeline.app) == 0 && length(aws_codebuild_project.rollback) == 0 && toset(keys(aws_codebuild_project.this)) == toset(["apply", "plan"])
    error_message = "a project names a role that is not there yet"
  }

  assert {
    condition     = aws_codepipeline.infrastructure.stage[*].name == tolist(["source", "pipelines"])
    error_message = "an environment is planned that nobody entered"
  }

  assert {
    condition     = alltrue([for document in data.aws_iam_policy_document.apply : alltrue([for statement in document.statement : length(statement.resources) > 0])])
    error_message = "IAM refuses a statement without a resource"
  }
}

run "images_are_baked_in_the_builders_subnet" {
  command = apply

  variables {
    bake = {
      vpc_id               = "vpc-0a"
      subnet_id            = "subnet-0a"
      security_group_id    = "sg-0a"
      kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
      packer_version       = "1.14.2"
      packer_sha256        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      amazon_plugin_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      agents               = { cloudwatch_agent_version = "1.300073.2b1889", cloudwatch_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ssm_agent_version = "3.3.4624.0", ssm_agent_sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
  }

  assert {
    condition     = length(aws_codepipeline.image) == 1 && [for project in aws_codebuild_project.this : project.name if length(project.vpc_config) > 0] == ["pinion-shop-image"]
    error_message = "the build that reaches the builder is not in its subnet, or another is"
  }

  assert {
    condition     = anytrue([for statement in data.aws_iam_policy_document.grants["image"].statement : contains(statement.resources, "arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-0a") && contains(statement.actions, "ec2:RunInstances")])
    error_message = "the builder cannot be launched in the subnet that was given"
  }
}

run "pinion_at_the_root_excludes_nothing_of_the_app" {
  command = apply

  variables {
    repository = { connection_arn = "arn:aws:codestar-connections:eu-west-1:123456789012:connection/00000000-0000-0000-0000-000000000000", name = "example/shop", app_dir = "services/shop", pinion_dir = "." }
  }

  assert {
    condition     = aws_codepipeline.app[0].trigger[0].git_configuration[0].push[0].file_paths[0].includes == tolist(["services/shop/**"]) && aws_codepipeline.app[0].trigger[0].git_configuration[0].push[0].file_paths[0].excludes == null
    error_message = "a change of the app makes no release"
  }

  assert {
    condition     = contains(aws_codepipeline.infrastructure.trigger[0].git_configuration[0].push[0].file_paths[0].includes, "terraform/**")
    error_message = "a change of Terraform makes no plan"
  }

  assert {
    condition     = anytrue([for statement in data.aws_iam_policy_document.grants["pipeline-app"].statement : contains(statement.actions, "codestar-connections:UseConnection")])
    error_message = "a connection made before July 2024 is of another service's name"
  }
}

run "null_is_as_left_out" {
  command = plan

  variables {
    tags          = null
    notify_emails = null
    log_days      = null
  }

  assert {
    condition     = length(var.tags) == 0 && length(var.notify_emails) == 0 && var.log_days == 90
    error_message = "a null is not the default"
  }
}
