# What is baked.

variable "version" {
  type        = string
  description = "Version of pinion, as in package.json; the package must have the same."

  validation {
    condition     = regex_replace(var.version, "^[0-9]+[.][0-9]+[.][0-9]+.*$", "valid") == "valid"
    error_message = "The version is that of package.json, such as 0.1.0: -var version=$(node -p 'require(\"./package.json\").version')."
  }
}

variable "commit" {
  type        = string
  description = "Commit that the package was built from."

  validation {
    condition     = regex_replace(var.commit, "^[0-9a-f]{7,40}$", "valid") == "valid"
    error_message = "The commit is 7 to 40 hexadecimal digits: -var commit=$(git rev-parse HEAD)."
  }
}

variable "deb" {
  type        = string
  description = "Path of the agent's package."

  validation {
    condition     = regex_replace(var.deb, "^(.*/)?pinion-agent_[^/]+_amd64[.]deb$", "valid") == "valid"
    error_message = "The package is named pinion-agent_VERSION_amd64.deb: npm run deb makes it and prints its path."
  }
}

# Amazon's agents. Without default: what runs as a privileged service on every instance is chosen, not inherited. docs/image.md says where to find both values.

variable "cloudwatch_agent_version" {
  type        = string
  description = "Version of Amazon's CloudWatch agent as its bucket spells it, such as 1.300073.2b1889; \"left-out\" only in a rehearsal."

  validation {
    condition = (
      var.cloudwatch_agent_version == "left-out" ||
      regex_replace(var.cloudwatch_agent_version, "^1[.]3(0007|000[89]|00[1-9]|0[1-9]|[1-9])[0-9]*[.][0-9]+b[0-9]+$", "valid") == "valid"
    )
    error_message = "Give 1.300070.0 or later, which reads the journal, with its build: amazoncloudwatch-agent.s3.amazonaws.com/info/latest/CWAGENT_VERSION."
  }
}

variable "cloudwatch_agent_sha256" {
  type        = string
  description = "SHA-256 of that version's amazon-cloudwatch-agent.deb for amd64; \"left-out\" only in a rehearsal."

  validation {
    condition     = var.cloudwatch_agent_sha256 == "left-out" || regex_replace(var.cloudwatch_agent_sha256, "^[0-9a-f]{64}$", "valid") == "valid"
    error_message = "A SHA-256 is 64 hexadecimal digits in lower case: verify Amazon's signature of the package, then sha256sum amazon-cloudwatch-agent.deb."
  }
}

variable "ssm_agent_version" {
  type        = string
  description = "Version of Amazon's SSM agent, such as 3.3.4624.0; \"left-out\" only in a rehearsal."

  validation {
    condition     = var.ssm_agent_version == "left-out" || regex_replace(var.ssm_agent_version, "^[0-9]+([.][0-9]+){3}$", "valid") == "valid"
    error_message = "The SSM agent's versions have four numbers: curl https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest/VERSION."
  }
}

variable "ssm_agent_sha256" {
  type        = string
  description = "SHA-256 of that version's amazon-ssm-agent.deb for amd64; \"left-out\" only in a rehearsal."

  validation {
    condition     = var.ssm_agent_sha256 == "left-out" || regex_replace(var.ssm_agent_sha256, "^[0-9a-f]{64}$", "valid") == "valid"
    error_message = "A SHA-256 is 64 hexadecimal digits in lower case: verify Amazon's signature of the package, then sha256sum amazon-ssm-agent.deb."
  }
}

variable "manifest" {
  type        = string
  description = "Where the AMI id is written, as JSON."
  default     = "manifest.json"
}

# Where it is baked: read by source.amazon-ebs.trixie alone.

variable "region" {
  type        = string
  description = "Region of the builder and of the image."

  validation {
    condition     = regex_replace(var.region, "^[a-z]{2}(-[a-z]+)+-[0-9]$", "valid") == "valid"
    error_message = "The Region is a name such as eu-west-1."
  }
}

variable "subnet_id" {
  type        = string
  description = "Private subnet of the builder, with a way out to Debian's archive and Amazon's buckets. The machine that runs Packer must reach it."

  validation {
    condition     = regex_replace(var.subnet_id, "^subnet-[0-9a-f]+$", "valid") == "valid"
    error_message = "The subnet is an id such as subnet-0123456789abcdef0: take a private one."
  }
}

variable "kms_key_id" {
  type        = string
  description = "ARN of the customer key that encrypts the image. Auto Scaling's service-linked role must be allowed to use it."

  validation {
    condition     = regex_replace(var.kms_key_id, "^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/.+$", "valid") == "valid"
    error_message = "The key is the ARN of a customer key: the account's default key can be shared with nobody and its use cannot be limited."
  }
}

variable "security_group_id" {
  type        = string
  description = "Security group of the builder; empty for a temporary one that lets ssh_from_cidrs in."
  default     = ""
}

variable "ssh_from_cidrs" {
  type        = list(string)
  description = "Addresses that the temporary security group lets in. Packer's own default is everywhere."
  default     = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
}

variable "instance_type" {
  type        = string
  description = "Type of the builder; the image runs on any Nitro type of its architecture."
  default     = "t3.small"
}

variable "volume_gb" {
  type        = number
  description = "Size of the image's root volume, in GiB. An instance with a larger volume grows into it at boot."
  default     = 8
}

variable "source_ami_owner" {
  type        = string
  description = "Account that owns the base image; 136693071363 is Debian's (wiki.debian.org/Cloud/AmazonEC2Image)."
  default     = "136693071363"

  validation {
    condition     = regex_replace(var.source_ami_owner, "^[0-9]{12}$", "valid") == "valid"
    error_message = "The owner is an account number of twelve digits: by name alone anybody can publish an image."
  }
}

variable "source_ami_name" {
  type        = string
  description = "Name of the base image; of those that match, the newest is taken."
  default     = "debian-13-amd64-*"
}

variable "root_device_name" {
  type        = string
  description = "Root device of the base image. One that differs is not found, so that an unencrypted root cannot slip through."
  default     = "/dev/xvda"
}

variable "deprecate_after_days" {
  type        = number
  description = "Days after which the image is marked deprecated: it still boots, but is no longer offered."
  default     = 90
}

# Where it is rehearsed: read by source.null.rehearsal alone.

variable "ssh_host" {
  type        = string
  description = "Address of a Debian that is thrown away afterwards."
  default     = "127.0.0.1"
}

variable "ssh_port" {
  type        = number
  description = "Its SSH port."
  default     = 22
}

variable "ssh_key" {
  type        = string
  description = "Path of the private key that logs in as root."
  default     = ""
}
