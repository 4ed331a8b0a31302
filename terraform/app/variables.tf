# Where, and whose

variable "region" {
  type        = string
  description = "Region of the app's pipelines and environments."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is \"${var.region}\": give a Region such as eu-west-1."
  }
}

variable "account_id" {
  type        = string
  description = "Account of the app; credentials of any other are refused."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id is \"${var.account_id}\": give the account's twelve digits in quotes (aws sts get-caller-identity)."
  }
}

variable "app" {
  type        = string
  description = "The app, as in its [tool.pinion]."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,31}$", var.app))
    error_message = "app is \"${var.app}\": write it as in [tool.pinion], at most 32 lower-case letters, digits and hyphens after a letter."
  }
}

variable "tags" {
  type        = map(string)
  description = "Further tags for everything."
  default     = {}
  nullable    = false

  validation {
    condition     = length(setintersection(keys(var.tags), ["App", "ManagedBy"])) == 0
    error_message = "tags has ${join(", ", setintersection(keys(var.tags), ["App", "ManagedBy"]))}: remove it, both are set from app."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags has ${join(", ", [for key in keys(var.tags) : key if startswith(lower(key), "aws:")])}: AWS keeps keys that begin with aws: to itself, write them without it."
  }
}

variable "environments" {
  type = list(object({
    name             = string
    expected_minutes = optional(number, 30)
    zone_id          = optional(string)
  }))
  description = "The environments in the order in which a release passes them: builds are released to the first, which needs no approval; each later one takes the releases of the one before. `expected_minutes` is how long its deploys take at most (`pinion deploy --dry-run`), `zone_id` the hosted zone that its Terraform enters the app's name in. An environment is entered after its terraform/environment is there, since CodeBuild takes no role that is missing: empty in the beginning."
  nullable    = false

  validation {
    condition     = alltrue([for name in var.environments[*].name : can(regex("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", name))])
    error_message = "environments has ${join(", ", [for name in var.environments[*].name : "\"${name}\"" if !can(regex("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", name))])}: name each as env in its terraform/environment, at most 32 lower-case letters, digits and hyphens after a letter, with no hyphen at the end."
  }

  validation {
    condition     = length(distinct(var.environments[*].name)) == length(var.environments)
    error_message = "environments is [${join(", ", var.environments[*].name)}]: name each once, in the order in which a release passes them."
  }

  # Their roles, buckets and projects would have the names of the app's own.
  validation {
    condition     = length(setintersection(var.environments[*].name, ["app", "apply", "artifacts", "build", "image", "infrastructure", "pipeline", "plan", "plans", "state"])) == 0
    error_message = "environments has ${join(", ", setintersection(var.environments[*].name, ["app", "apply", "artifacts", "build", "image", "infrastructure", "pipeline", "plan", "plans", "state"]))}, which the app's own roles and buckets are named by: call it otherwise, such as prod."
  }

  # CodeBuild ends a build after 36 hours at most; a deploy watches for three times its expected time and an hour, and 15 minutes are the build's own.
  validation {
    condition     = alltrue([for minutes in var.environments[*].expected_minutes : floor(minutes) == minutes && minutes >= 1 && minutes <= 695])
    error_message = "environments: expected_minutes of ${join(", ", [for environment in var.environments : "${environment.name} is ${environment.expected_minutes}" if !(floor(environment.expected_minutes) == environment.expected_minutes && environment.expected_minutes >= 1 && environment.expected_minutes <= 695)])}: a whole number from 1 to 695; pinion deploy --dry-run says what a deploy takes."
  }

  validation {
    condition     = alltrue([for id in compact(var.environments[*].zone_id) : can(regex("^Z[0-9A-Z]{3,31}$", id))])
    error_message = "environments: zone_id is ${join(", ", [for id in compact(var.environments[*].zone_id) : "\"${id}\"" if !can(regex("^Z[0-9A-Z]{3,31}$", id))])}: give the id of a hosted zone, such as Z0123456789ABCDEFGHIJ (aws route53 list-hosted-zones)."
  }
}

# Source

variable "repository" {
  type = object({
    connection_arn = string
    name           = string
    branch         = optional(string, "main")
    app_dir        = optional(string, ".")
    pinion_dir     = optional(string, "pinion")
  })
  description = "The repository, the CodeConnections connection that reads it, the branch that is deployed, and the folders of the app and of pinion in it."
  nullable    = false

  # Of any Region: AWS replicates a connection to all (Developer Tools console, Global resources in AWS CodeConnections).
  validation {
    condition     = can(regex("^arn:[a-z-]+:(codeconnections|codestar-connections):[a-z0-9-]+:${var.account_id}:connection/[0-9a-f-]+$", var.repository.connection_arn))
    error_message = "repository.connection_arn is \"${var.repository.connection_arn}\": give the ARN of a CodeConnections connection of ${var.account_id} (aws codeconnections list-connections); a new one is completed in the console first."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$", var.repository.name)) && !endswith(var.repository.name, ".git")
    error_message = "repository.name is \"${var.repository.name}\": give owner and name, such as example/shop, without a host and without .git."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]*$", var.repository.branch)) && !startswith(var.repository.branch, "refs/")
    error_message = "repository.branch is \"${var.repository.branch}\": name one branch, such as main, without refs/heads and without wildcards."
  }

  validation {
    condition     = alltrue([for folder in [var.repository.app_dir, var.repository.pinion_dir] : folder == "." || can(regex("^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$", folder))])
    error_message = "repository.app_dir is \"${var.repository.app_dir}\" and pinion_dir \"${var.repository.pinion_dir}\": give folders of the repository, such as services/shop, without ./ or a / at an end; . is the repository itself."
  }

  validation {
    condition     = var.repository.app_dir != var.repository.pinion_dir
    error_message = "repository.app_dir and pinion_dir are both \"${var.repository.app_dir}\": the app and pinion need a folder each, or every change of the one would release the other."
  }
}

# Builds

variable "build_image" {
  type        = string
  description = "CodeBuild's Ubuntu image, of one day: without the day it changes under the builds."
  nullable    = false

  validation {
    condition     = can(regex("^aws/codebuild/standard:[0-9]+[.][0-9]+-[0-9]{2}[.][0-9]{2}[.][0-9]{2}$", var.build_image))
    error_message = "build_image is \"${var.build_image}\": give an aws/codebuild/standard image with its day, such as aws/codebuild/standard:7.0-26.07.29 (aws codebuild list-curated-environment-images)."
  }
}

variable "test_command" {
  type        = string
  description = "What tests the app before anything is published: a line of shell in its folder, such as `pip install -r requirements-dev.txt && python -m pytest`. Empty: nothing does."
  default     = ""
  nullable    = false
}

variable "terraform" {
  type = object({
    version = string
    sha256  = string
  })
  description = "The Terraform that plans and applies, and the SHA-256 of terraform_VERSION_linux_amd64.zip at releases.hashicorp.com."
  nullable    = false

  validation {
    condition     = can(regex("^1[.][1-9][0-9]+[.][0-9]+$", var.terraform.version))
    error_message = "terraform.version is \"${var.terraform.version}\": give a released version from 1.10 on, such as 1.11.4."
  }

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.terraform.sha256))
    error_message = "terraform.sha256 is \"${var.terraform.sha256}\": give the 64 hexadecimal digits that terraform_${var.terraform.version}_SHA256SUMS has for linux_amd64, after gpg has verified that file."
  }

  validation {
    condition     = !can(regex("^0+$", var.terraform.sha256))
    error_message = "terraform.sha256 is \"${var.terraform.sha256}\", which stands for one that is still missing: take it from SHA256SUMS at releases.hashicorp.com/terraform/${var.terraform.version}, the line of linux_amd64."
  }
}

variable "state_key_arn" {
  type        = string
  description = "The key of the state bucket: key_arn of terraform/state."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:${var.region}:${var.account_id}:key/.+$", var.state_key_arn))
    error_message = "state_key_arn is \"${var.state_key_arn}\": give key_arn, which terraform/state puts out; IAM compares keys, not aliases."
  }
}

variable "bake" {
  type = object({
    vpc_id               = string
    subnet_id            = string
    security_group_id    = string
    kms_key_arn          = string
    packer_version       = string
    packer_sha256        = string
    amazon_plugin_sha256 = string
    agents               = map(string)
  })
  description = "Where images are baked, and with what: as docs/image.md says, the private subnet and the group of the build, the key of the images, Packer and its plugin by digest, and in `agents` the four values cloudwatch_agent_version, cloudwatch_agent_sha256, ssm_agent_version, ssm_agent_sha256. None where images are baked by hand, or by another app: the account has one."
  default     = null

  validation {
    condition     = var.bake == null ? true : can(regex("^vpc-[0-9a-f]+$", var.bake.vpc_id)) && can(regex("^subnet-[0-9a-f]+$", var.bake.subnet_id)) && can(regex("^sg-[0-9a-f]+$", var.bake.security_group_id))
    error_message = "bake needs vpc_id, subnet_id and security_group_id as ids, such as vpc-0123456789abcdef0, subnet-0123456789abcdef0 and sg-0123456789abcdef0."
  }

  validation {
    condition     = var.bake == null ? true : can(regex("^arn:[a-z-]+:kms:${var.region}:[0-9]{12}:key/.+$", var.bake.kms_key_arn))
    error_message = "bake.kms_key_arn is \"${try(var.bake.kms_key_arn, "")}\": give the ARN of the customer key itself, in ${var.region}; Auto Scaling's role must be allowed to use it."
  }

  validation {
    condition     = var.bake == null ? true : can(regex("^1[.](1[1-9]|[2-9][0-9])[.][0-9]+$", var.bake.packer_version))
    error_message = "bake.packer_version is \"${try(var.bake.packer_version, "")}\": give Packer 1.11 or later, such as 1.14.2."
  }

  validation {
    condition     = var.bake == null ? true : alltrue([for digest in [var.bake.packer_sha256, var.bake.amazon_plugin_sha256] : can(regex("^[0-9a-f]{64}$", digest))])
    error_message = "bake.packer_sha256 is \"${try(var.bake.packer_sha256, "")}\" and amazon_plugin_sha256 \"${try(var.bake.amazon_plugin_sha256, "")}\": give 64 hexadecimal digits each, from the SHA256SUMS at releases.hashicorp.com, after gpg has verified it."
  }

  validation {
    condition     = var.bake == null ? true : !can(regex("^0+$", var.bake.packer_sha256))
    error_message = "bake.packer_sha256 is \"${try(var.bake.packer_sha256, "")}\", which stands for one that is still missing: take it from SHA256SUMS at releases.hashicorp.com/packer/${try(var.bake.packer_version, "")}, the line of linux_amd64."
  }

  validation {
    condition     = var.bake == null ? true : !can(regex("^0+$", var.bake.amazon_plugin_sha256))
    error_message = "bake.amazon_plugin_sha256 is \"${try(var.bake.amazon_plugin_sha256, "")}\", which stands for one that is still missing: take it from SHA256SUMS at releases.hashicorp.com/packer-plugin-amazon/VERSION, the line of linux_amd64; pipeline/buildspecs/image.yml says the version."
  }

  validation {
    condition     = var.bake == null ? true : toset(keys(var.bake.agents)) == toset(["cloudwatch_agent_sha256", "cloudwatch_agent_version", "ssm_agent_sha256", "ssm_agent_version"])
    error_message = "bake.agents has ${try(join(", ", keys(var.bake.agents)), "")}: give cloudwatch_agent_version, cloudwatch_agent_sha256, ssm_agent_version and ssm_agent_sha256 (docs/image.md says where they are found)."
  }

  validation {
    condition     = var.bake == null ? true : alltrue([for name, value in var.bake.agents : can(regex("^[0-9]+([.][0-9a-z]+)+$", value)) if endswith(name, "_version")])
    error_message = "bake.agents: ${try(join(", ", [for name, value in var.bake.agents : "${name} is \"${value}\"" if endswith(name, "_version") && !can(regex("^[0-9]+([.][0-9a-z]+)+$", value))]), "")}: give a version as Amazon's bucket spells it, such as 1.300073.2b1889 of the CloudWatch agent and 3.3.4624.0 of the SSM agent (docs/image.md)."
  }

  validation {
    condition     = var.bake == null ? true : alltrue([for name, value in var.bake.agents : can(regex("^[0-9a-f]{64}$", value)) && !can(regex("^0+$", value)) if endswith(name, "_sha256")])
    error_message = "bake.agents: ${try(join(", ", [for name, value in var.bake.agents : "${name} is \"${value}\"" if endswith(name, "_sha256") && !(can(regex("^[0-9a-f]{64}$", value)) && !can(regex("^0+$", value)))]), "")}: give the 64 hexadecimal digits that sha256sum says of the package, after gpg has verified it (docs/image.md)."
  }
}

# Watching

variable "notify_emails" {
  type        = list(string)
  description = "Who hears of a pipeline that failed or waits for approval; each address confirms it once."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.notify_emails : can(regex("^[^@\\s]+@[^@\\s]+[.][^@\\s]+$", address))])
    error_message = "notify_emails has ${join(", ", [for address in var.notify_emails : "\"${address}\"" if !can(regex("^[^@\\s]+@[^@\\s]+[.][^@\\s]+$", address))])}: give addresses such as shop@example.com."
  }
}

variable "log_days" {
  type        = number
  description = "Days that the logs of builds, and the files of pipelines, are kept."
  default     = 90
  nullable    = false

  validation {
    condition     = contains([7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_days)
    error_message = "log_days is ${var.log_days}: CloudWatch Logs keeps 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731 days."
  }
}
