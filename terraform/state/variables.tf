variable "region" {
  type        = string
  description = "Region of the state bucket."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is \"${var.region}\": give a Region such as eu-west-1."
  }
}

variable "account_id" {
  type        = string
  description = "Account of the state bucket; credentials of any other are refused."
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

variable "administrators" {
  type        = list(string)
  description = "ARNs of the roles, or users, by which people keep Terraform: they make the pipelines, and with them the plan and apply roles, which are let in by name."
  nullable    = false

  validation {
    condition     = length(var.administrators) > 0
    error_message = "administrators is empty: name the role that you run Terraform with, or nobody could put the first state here (aws sts get-caller-identity)."
  }

  validation {
    condition     = alltrue([for arn in var.administrators : can(regex("^arn:[a-z-]+:iam::${var.account_id}:((role|user)/[^*?]+|root)$", arn))])
    error_message = "administrators has ${join(", ", [for arn in var.administrators : arn if !can(regex("^arn:[a-z-]+:iam::${var.account_id}:((role|user)/[^*?]+|root)$", arn))])}: give the ARN of a role or user of ${var.account_id}, without path wildcards; for arn:aws:sts::…:assumed-role/NAME/… that is what aws iam get-role --role-name NAME --query Role.Arn says, path and all."
  }

  # aws:PrincipalArn is compared: unlike a principal in a policy, the account's root there is one user, and not everybody whom the account lets.
  validation {
    condition     = alltrue([for arn in var.administrators : !endswith(arn, ":root")])
    error_message = "administrators has ${join(", ", [for arn in var.administrators : arn if endswith(arn, ":root")])}: that is the root user alone, with whom nobody should run Terraform, and not every role of ${var.account_id}; give the role that you run it with (aws sts get-caller-identity)."
  }

  # It has the path that a session's ARN leaves out: without it nobody would be let in.
  validation {
    condition     = alltrue([for arn in var.administrators : !strcontains(arn, ":role/") || !strcontains(arn, "AWSReservedSSO_") || can(regex(":role/aws-reserved/sso[.]amazonaws[.]com/([a-z0-9-]+/)?AWSReservedSSO_[^/]+$", arn))])
    error_message = "administrators has ${join(", ", [for arn in var.administrators : arn if strcontains(arn, ":role/") && strcontains(arn, "AWSReservedSSO_") && !can(regex(":role/aws-reserved/sso[.]amazonaws[.]com/([a-z0-9-]+/)?AWSReservedSSO_[^/]+$", arn))])}: a role of IAM Identity Center has a path, role/aws-reserved/sso.amazonaws.com/REGION/AWSReservedSSO_…; give the ARN that aws iam get-role --role-name NAME --query Role.Arn says."
  }
}

variable "keep_days" {
  type        = number
  description = "Days that an earlier version of a state is kept."
  default     = 365
  nullable    = false

  validation {
    condition     = var.keep_days >= 30 && floor(var.keep_days) == var.keep_days
    error_message = "keep_days is ${var.keep_days}: keep earlier states for a whole number of days, at least 30: they are the way back from a bad apply."
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
