# Where, and whose

variable "region" {
  type        = string
  description = "Region of the environment."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is \"${var.region}\": give a Region such as eu-west-1."
  }
}

variable "account_id" {
  type        = string
  description = "Account of the environment; credentials of any other are refused."
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

variable "env" {
  type        = string
  description = "The environment, such as prod."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", var.env))
    error_message = "env is \"${var.env}\": use at most 32 lower-case letters, digits and hyphens after a letter, with no hyphen at the end."
  }

  # Its roles, buckets and projects would have the names of the app's own.
  validation {
    condition     = !contains(["app", "apply", "artifacts", "build", "image", "infrastructure", "pipeline", "plan", "plans", "state"], var.env)
    error_message = "env is \"${var.env}\", which the app's own roles and buckets are named by: call it otherwise, such as prod."
  }

  validation {
    condition     = length("pinion-${var.app}-${var.env}") <= 32
    error_message = "pinion-${var.app}-${var.env} names the load balancer and has ${length("pinion-${var.app}-${var.env}")} characters: shorten app or env until it has 32 (ELBv2 API Reference, CreateLoadBalancer)."
  }
}

variable "tags" {
  type        = map(string)
  description = "Further tags for everything."
  default     = {}
  nullable    = false

  validation {
    condition     = length(setintersection(keys(var.tags), ["App", "Env", "ManagedBy"])) == 0
    error_message = "tags has ${join(", ", setintersection(keys(var.tags), ["App", "Env", "ManagedBy"]))}: remove it, these three are set from app and env."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags has ${join(", ", [for key in keys(var.tags) : key if startswith(lower(key), "aws:")])}: AWS keeps keys that begin with aws: to itself, write them without it."
  }
}

# Network

variable "vpc" {
  type = object({
    cidr               = string
    availability_zones = list(string)
  })
  description = "The VPC that is made: its range, /16 to /24, and two to six zones. Leave it out where existing_vpc is given."
  default     = null

  validation {
    condition     = (var.vpc == null) != (var.existing_vpc == null)
    error_message = "Give either vpc, to have one made, or existing_vpc, to use yours: one of the two."
  }

  validation {
    condition     = var.vpc == null ? true : try(cidrhost(var.vpc.cidr, 0) == split("/", var.vpc.cidr)[0] && tonumber(split("/", var.vpc.cidr)[1]) >= 16 && tonumber(split("/", var.vpc.cidr)[1]) <= 24, false)
    error_message = "vpc.cidr is \"${try(var.vpc.cidr, "")}\": give the first address and a length from /16 to /24, such as 10.20.0.0/16."
  }

  validation {
    condition     = var.vpc == null ? true : length(distinct(var.vpc.availability_zones)) == length(var.vpc.availability_zones) && length(var.vpc.availability_zones) >= 2 && length(var.vpc.availability_zones) <= 6
    error_message = "vpc.availability_zones has ${try(length(distinct(var.vpc.availability_zones)), 0)} different zones: name two to six, each once, so that one may fail."
  }

  validation {
    condition     = var.vpc == null ? true : alltrue([for zone in var.vpc.availability_zones : can(regex("^${var.region}[a-z]$", zone))])
    error_message = "vpc.availability_zones must be zones of ${var.region}, such as ${var.region}a: aws ec2 describe-availability-zones lists them."
  }
}

variable "existing_vpc" {
  type = object({
    id                  = string
    app_subnet_ids      = list(string)
    balancer_subnet_ids = list(string)
    app_route_table_ids = optional(list(string), [])
  })
  description = "A VPC of yours instead: private subnets for the instances, subnets for the load balancer, and the route tables of the first for the S3 endpoint."
  default     = null

  validation {
    condition     = var.existing_vpc == null ? true : can(regex("^vpc-[0-9a-f]+$", var.existing_vpc.id))
    error_message = "existing_vpc.id is \"${try(var.existing_vpc.id, "")}\": give the id, such as vpc-0123456789abcdef0."
  }

  validation {
    condition     = var.existing_vpc == null ? true : length(distinct(var.existing_vpc.app_subnet_ids)) >= 2 && alltrue([for id in var.existing_vpc.app_subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "existing_vpc.app_subnet_ids needs the ids of at least two different private subnets, in different zones."
  }

  validation {
    condition     = var.existing_vpc == null ? true : length(distinct(var.existing_vpc.balancer_subnet_ids)) >= 2 && alltrue([for id in var.existing_vpc.balancer_subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "existing_vpc.balancer_subnet_ids needs the ids of at least two different subnets: a load balancer spans two zones or more."
  }

  validation {
    condition     = var.existing_vpc == null || var.egress != "endpoints" ? true : length(var.existing_vpc.app_route_table_ids) >= 1 && alltrue([for id in var.existing_vpc.app_route_table_ids : can(regex("^rtb-[0-9a-f]+$", id))])
    error_message = "egress is endpoints: name in existing_vpc.app_route_table_ids the route tables of the app subnets, where the S3 endpoint is entered, or set egress to nat."
  }
}

variable "egress" {
  type        = string
  description = "How instances reach AWS: `endpoints` in the VPC, and nothing else; or `nat`, and with it any host by HTTPS. With existing_vpc and `nat` the way out is that VPC's own."
  nullable    = false

  validation {
    condition     = contains(["endpoints", "nat"], var.egress)
    error_message = "egress is \"${var.egress}\": choose endpoints, if the app calls AWS alone, or nat."
  }
}

variable "app_egress" {
  type = map(object({
    cidr = string
    port = number
  }))
  description = "What else instances may reach, by a name of yours, such as `database = { cidr = \"10.20.128.0/20\", port = 5432 }`. TCP."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for to in var.app_egress : can(cidrhost(to.cidr, 0))])
    error_message = "app_egress: ${join(", ", [for name, to in var.app_egress : "${name} has ${to.cidr}" if !can(cidrhost(to.cidr, 0))])}: give a range such as 10.20.128.0/20."
  }

  validation {
    condition     = alltrue([for to in var.app_egress : !can(cidrhost(to.cidr, 0)) || can(cidrnetmask(to.cidr))])
    error_message = "app_egress: ${join(", ", [for name, to in var.app_egress : "${name} has ${to.cidr}" if can(cidrhost(to.cidr, 0)) && !can(cidrnetmask(to.cidr))])}, which is IPv6, and instances have IPv4 alone: give a range such as 10.20.128.0/20."
  }

  validation {
    condition     = alltrue([for to in var.app_egress : try(cidrsubnet(to.cidr, 0, 0) == to.cidr, true)])
    error_message = "app_egress: ${join(", ", [for name, to in var.app_egress : "${name} has ${to.cidr}, write ${cidrsubnet(to.cidr, 0, 0)}" if try(cidrsubnet(to.cidr, 0, 0) != to.cidr, false)])}: a range begins with its first address."
  }

  validation {
    condition     = alltrue([for to in var.app_egress : !endswith(to.cidr, "/0")])
    error_message = "app_egress: ${join(", ", [for name, to in var.app_egress : name if endswith(to.cidr, "/0")])} is everywhere: name the range that the app needs, or set egress to nat for HTTPS to any host."
  }

  validation {
    condition     = alltrue([for to in var.app_egress : to.port >= 1 && to.port <= 65535 && floor(to.port) == to.port])
    error_message = "app_egress: ${join(", ", [for name, to in var.app_egress : "${name} has port ${to.port}" if !(to.port >= 1 && to.port <= 65535 && floor(to.port) == to.port)])}: give one from 1 to 65535."
  }
}

# Load balancer

variable "balancer" {
  type = object({
    domain_name         = optional(string)
    certificate_arn     = optional(string)
    zone_id             = optional(string)
    http_only           = optional(bool, false)
    internal            = optional(bool, false)
    ingress_cidrs       = optional(list(string), ["0.0.0.0/0"])
    deletion_protection = optional(bool, true)
    log_days            = optional(number, 90)
  })
  description = "The app's name and ACM certificate; its Route 53 zone, where the name is to be entered; who may come in; how many days requests are logged. `http_only` is for development: no name, no certificate, no TLS."
  nullable    = false

  validation {
    condition     = var.balancer.http_only != (var.balancer.certificate_arn != null)
    error_message = "balancer needs certificate_arn, of an issued ACM certificate; or, for development and without it, http_only = true."
  }

  validation {
    condition     = var.balancer.certificate_arn == null ? true : can(regex("^arn:[a-z-]+:acm:${var.region}:${var.account_id}:certificate/.+$", var.balancer.certificate_arn))
    error_message = "balancer.certificate_arn is \"${coalesce(var.balancer.certificate_arn, "missing")}\": give the ARN of an ACM certificate of ${var.account_id} in ${var.region}; a load balancer takes none of another account or Region."
  }

  validation {
    condition     = var.balancer.http_only ? true : can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z]{2,}$", var.balancer.domain_name))
    error_message = "balancer.domain_name is \"${coalesce(var.balancer.domain_name, "missing")}\": give the host name that the certificate is for, such as shop.example.com; smoke tests ask there."
  }

  validation {
    condition     = var.balancer.zone_id == null ? true : !var.balancer.http_only && can(regex("^Z[A-Z0-9]+$", var.balancer.zone_id))
    error_message = "balancer.zone_id is \"${coalesce(var.balancer.zone_id, "missing")}\": give the id of the hosted zone of domain_name, such as Z0123456789ABCDEFGHIJ, or leave it out and enter the name yourself."
  }

  validation {
    condition     = length(var.balancer.ingress_cidrs) > 0 && alltrue([for cidr in var.balancer.ingress_cidrs : can(cidrnetmask(cidr))])
    error_message = "balancer.ingress_cidrs is [${join(", ", var.balancer.ingress_cidrs)}]: give at least one range, such as 203.0.113.0/24, and IPv4 ranges alone."
  }

  validation {
    condition     = alltrue([for cidr in var.balancer.ingress_cidrs : try(cidrsubnet(cidr, 0, 0) == cidr, true)])
    error_message = "balancer.ingress_cidrs has ${join(", ", [for cidr in var.balancer.ingress_cidrs : "${cidr}, write ${cidrsubnet(cidr, 0, 0)}" if try(cidrsubnet(cidr, 0, 0) != cidr, false)])}: a range begins with its first address."
  }

  validation {
    condition     = var.balancer.log_days >= 1 && floor(var.balancer.log_days) == var.balancer.log_days
    error_message = "balancer.log_days is ${var.balancer.log_days}: keep the request logs for a whole number of days, at least 1."
  }
}

# Fleet

variable "image" {
  type = object({
    id               = string
    root_device_name = optional(string, "/dev/xvda")
  })
  description = "The AMI that packer/ baked, by its id."
  nullable    = false

  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.image.id))
    error_message = "image.id is \"${var.image.id}\": a rollback needs the id itself, such as ami-0123456789abcdef0: aws ssm get-parameter --name /pinion/image --query Parameter.Value."
  }

  validation {
    condition     = can(regex("^/dev/[a-z0-9]+$", var.image.root_device_name))
    error_message = "image.root_device_name is \"${var.image.root_device_name}\": give the image's root device, such as /dev/xvda; another would add a second, unencrypted-by-default volume."
  }
}

variable "fleet" {
  type = object({
    instance_type      = string
    volume_gb          = optional(number, 8)
    min                = number
    max                = number
    cpu_target_percent = optional(number, 60)
  })
  description = "What the group launches, how many, and the average CPU that it keeps to when max is more than min."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[.][a-z0-9-]+$", var.fleet.instance_type))
    error_message = "fleet.instance_type is \"${var.fleet.instance_type}\": write family and size with a dot between, such as t3.small (aws ec2 describe-instance-type-offerings)."
  }

  validation {
    condition     = !can(regex("^[a-z]+[0-9]+[a-z]*g[a-z]*[.]|^a1[.]", var.fleet.instance_type))
    error_message = "fleet.instance_type is \"${var.fleet.instance_type}\": the image is amd64, take an Intel or AMD type such as t3.small."
  }

  validation {
    condition     = !can(regex("^(t[12]|m[1-4]|c[134]|cc2|r[34]|i[23]|d2|g[23]|p[23]|x1|x1e|h1|f1)[.]", var.fleet.instance_type))
    error_message = "fleet.instance_type is \"${var.fleet.instance_type}\", a Xen type: its console is not to be had while it boots, take a Nitro type such as t3.small."
  }

  validation {
    condition     = var.fleet.volume_gb >= 8 && var.fleet.volume_gb <= 16384 && floor(var.fleet.volume_gb) == var.fleet.volume_gb
    error_message = "fleet.volume_gb is ${var.fleet.volume_gb}: a whole number from 8, the image's own size, to 16384."
  }

  validation {
    condition     = var.fleet.min >= 1 && floor(var.fleet.min) == var.fleet.min
    error_message = "fleet.min is ${var.fleet.min}: a whole number of at least 1, and 2 to serve while an instance is replaced; a deploy needs an instance to prove a release."
  }

  validation {
    condition     = var.fleet.max >= var.fleet.min && floor(var.fleet.max) == var.fleet.max
    error_message = "fleet.max is ${var.fleet.max} and fleet.min ${var.fleet.min}: max is a whole number, at least min."
  }

  validation {
    condition     = var.fleet.cpu_target_percent >= 10 && var.fleet.cpu_target_percent <= 90
    error_message = "fleet.cpu_target_percent is ${var.fleet.cpu_target_percent}: 10 to 90; above that the group grows too late."
  }
}

variable "times" {
  type = object({
    boot_budget_seconds         = optional(number, 300)
    health_interval_seconds     = optional(number, 10)
    idle_timeout_seconds        = optional(number, 60)
    deregistration_seconds      = optional(number, 60)
    warm_up_seconds             = optional(number, 60)
    grace_seconds               = optional(number, 60)
    launch_heartbeat_seconds    = optional(number, 420)
    terminate_heartbeat_seconds = optional(number, 150)
    stop_timeout_seconds        = optional(number, 120)
  })
  description = "Every time that infrastructure and agent must agree on (docs/documents.md#infrastructure), in whole seconds as AWS counts them."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for seconds in values(var.times) : floor(seconds) == seconds && seconds >= 1 && seconds <= 86400])
    error_message = "times: ${join(", ", [for name, seconds in var.times : "${name} is ${seconds}" if !(floor(seconds) == seconds && seconds >= 1 && seconds <= 86400)])}: give whole seconds from 1 to 86400."
  }

  validation {
    condition     = var.times.health_interval_seconds >= 5 && var.times.health_interval_seconds <= 300
    error_message = "times.health_interval_seconds is ${var.times.health_interval_seconds}: a target group takes 5 to 300."
  }

  validation {
    condition     = var.times.idle_timeout_seconds <= 4000
    error_message = "times.idle_timeout_seconds is ${var.times.idle_timeout_seconds}: a load balancer takes at most 4000."
  }

  validation {
    condition     = var.times.deregistration_seconds <= 3600
    error_message = "times.deregistration_seconds is ${var.times.deregistration_seconds}: a target group takes at most 3600."
  }

  validation {
    condition     = alltrue([for seconds in [var.times.launch_heartbeat_seconds, var.times.terminate_heartbeat_seconds] : seconds >= 30 && seconds <= 7200])
    error_message = "times.launch_heartbeat_seconds is ${var.times.launch_heartbeat_seconds} and terminate_heartbeat_seconds ${var.times.terminate_heartbeat_seconds}: a lifecycle hook takes 30 to 7200."
  }

  # The inequalities of contract/times.ts, with its margins.

  validation {
    condition     = var.gunicorn.keep_alive_seconds > var.times.idle_timeout_seconds
    error_message = "gunicorn.keep_alive_seconds is ${var.gunicorn.keep_alive_seconds} and must be longer than times.idle_timeout_seconds, ${var.times.idle_timeout_seconds}: or the balancer reuses a connection that gunicorn closes, and answers 502."
  }

  validation {
    condition     = var.times.deregistration_seconds >= var.gunicorn.graceful_timeout_seconds
    error_message = "times.deregistration_seconds is ${var.times.deregistration_seconds} and must be at least gunicorn.graceful_timeout_seconds, ${var.gunicorn.graceful_timeout_seconds}: or the balancer cuts requests off that gunicorn would finish."
  }

  validation {
    condition     = var.times.warm_up_seconds >= 2 * var.times.health_interval_seconds + local.margins.warm_up_seconds
    error_message = "times.warm_up_seconds is ${var.times.warm_up_seconds} and must be at least two health checks and ${local.margins.warm_up_seconds} s, ${2 * var.times.health_interval_seconds + local.margins.warm_up_seconds}: raise it, or lower health_interval_seconds."
  }

  validation {
    condition     = var.times.grace_seconds >= 2 * var.times.health_interval_seconds + local.margins.warm_up_seconds
    error_message = "times.grace_seconds is ${var.times.grace_seconds} and must be at least two health checks and ${local.margins.warm_up_seconds} s, ${2 * var.times.health_interval_seconds + local.margins.warm_up_seconds}: raise it, or lower health_interval_seconds."
  }

  validation {
    condition     = var.times.launch_heartbeat_seconds > var.times.boot_budget_seconds
    error_message = "times.launch_heartbeat_seconds is ${var.times.launch_heartbeat_seconds} and must be longer than boot_budget_seconds, ${var.times.boot_budget_seconds}: or the hook ends a boot that is still retried."
  }

  validation {
    condition     = var.times.stop_timeout_seconds >= max(3 * var.times.health_interval_seconds, var.times.deregistration_seconds) + var.gunicorn.graceful_timeout_seconds + local.margins.stop_seconds
    error_message = "times.stop_timeout_seconds is ${var.times.stop_timeout_seconds} and must be at least the drain, gunicorn.graceful_timeout_seconds and ${local.margins.stop_seconds} s, ${max(3 * var.times.health_interval_seconds, var.times.deregistration_seconds) + var.gunicorn.graceful_timeout_seconds + local.margins.stop_seconds}: or a stop is cut off."
  }
}

variable "gunicorn" {
  type = object({
    keep_alive_seconds       = optional(number, 75)
    graceful_timeout_seconds = optional(number, 30)
  })
  description = "The app's own times, as in its [tool.pinion]; read only to see that `times` fits them."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for seconds in values(var.gunicorn) : floor(seconds) == seconds && seconds >= 1 && seconds <= 3600])
    error_message = "gunicorn: ${join(", ", [for name, seconds in var.gunicorn : "${name} is ${seconds}" if !(floor(seconds) == seconds && seconds >= 1 && seconds <= 3600)])}: [tool.pinion] takes whole seconds from 1 to 3600."
  }
}

# Releases and roles

variable "artifacts" {
  type = object({
    bucket  = string
    key_arn = optional(string)
  })
  description = "The app's artifact bucket, one for all its environments, and the KMS key that encrypts it, if it has its own: outputs of terraform/app."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.artifacts.bucket))
    error_message = "artifacts.bucket is \"${var.artifacts.bucket}\": give the bucket's name alone, as terraform/app puts it out, no s3:// and no ARN."
  }

  validation {
    condition     = var.artifacts.key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:${var.region}:[0-9]{12}:key/.+$", var.artifacts.key_arn))
    error_message = "artifacts.key_arn is \"${coalesce(var.artifacts.key_arn, "missing")}\": give the ARN of the key itself, in ${var.region}; IAM compares keys, not aliases."
  }
}

variable "release_from" {
  type        = string
  description = "The environment whose releases are promoted to this one, as in `pinion release --from`; none where releases are made from builds alone."
  default     = null

  validation {
    condition     = var.release_from == null ? true : can(regex("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", var.release_from))
    error_message = "release_from is \"${try(coalesce(var.release_from), "")}\": name another environment of ${var.app} as its env, such as staging, at most 32 lower-case letters, digits and hyphens after a letter, with no hyphen at the end."
  }

  validation {
    condition     = var.release_from == null ? true : var.release_from != var.env
    error_message = "release_from is \"${try(coalesce(var.release_from), "")}\", which is env, this environment itself: name the one before it, or leave release_from out where releases are made from builds alone."
  }
}

variable "pipeline" {
  type = object({
    bucket  = string
    key_arn = string
  })
  description = "The pipeline's own bucket and key, from which release and deploy take their source: the output of that name of terraform/app. None where a person deploys."
  default     = null

  validation {
    condition     = var.pipeline == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.pipeline.bucket)) && can(regex("^arn:[a-z-]+:kms:${var.region}:[0-9]{12}:key/.+$", var.pipeline.key_arn))
    error_message = "pipeline needs the bucket's name and the ARN of its key in ${var.region}: terraform/app puts both out."
  }
}

variable "app_role" {
  type = object({
    statements = list(object({
      actions   = list(string)
      resources = list(string)
    }))
  })
  description = "What the app itself may do in AWS (docs/app-contract.md#aws-from-the-app). None: the app has no credentials. With egress `endpoints` only S3 and the services of the endpoints can be reached."
  default     = null

  validation {
    condition     = var.app_role == null ? true : length(var.app_role.statements) > 0 && alltrue([for statement in var.app_role.statements : length(statement.actions) > 0 && length(statement.resources) > 0])
    error_message = "app_role needs a statement, each with actions and resources: leave app_role out for an app without AWS access."
  }

  validation {
    condition     = var.app_role == null ? true : alltrue([for action in flatten(var.app_role.statements[*].actions) : can(regex("^[a-z0-9-]+:[A-Za-z]+$", action))])
    error_message = "app_role: ${try(join(", ", [for action in flatten(var.app_role.statements[*].actions) : action if !can(regex("^[a-z0-9-]+:[A-Za-z]+$", action))]), "")}: name each action whole, such as s3:GetObject; no * ."
  }

  validation {
    condition     = var.app_role == null ? true : alltrue([for action in flatten(var.app_role.statements[*].actions) : !contains(local.control_services, split(":", action)[0])])
    error_message = "app_role: ${try(join(", ", [for action in flatten(var.app_role.statements[*].actions) : action if contains(local.control_services, split(":", action)[0])]), "")} would reach the infrastructure: an app changes none, leave it out."
  }

  validation {
    condition     = var.app_role == null ? true : !contains(flatten(var.app_role.statements[*].resources), "*")
    error_message = "app_role: a resource is *: name the ARNs that the app needs, such as arn:aws:s3:::uploads/*."
  }
}

# Watching

variable "alarms" {
  type = object({
    balancer_5xx        = optional(number, 10)
    target_5xx          = optional(number, 10)
    latency_p95_seconds = optional(number, 1)
    boot_failures       = optional(number, 2)
    topic_arns          = optional(list(string), [])
  })
  description = "What is too much: answers of 5xx in a minute, the 95th percentile of the app's answer time, boots that failed in five minutes. Each alarm rolls a deploy back; topic_arns hear of it."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for limit in [var.alarms.balancer_5xx, var.alarms.target_5xx, var.alarms.latency_p95_seconds, var.alarms.boot_failures] : limit > 0])
    error_message = "alarms: every limit must be above 0, or the alarm never ends and no deploy begins."
  }

  validation {
    condition     = alltrue([for arn in var.alarms.topic_arns : can(regex("^arn:[a-z-]+:sns:${var.region}:[0-9]{12}:[^:]+$", arn))])
    error_message = "alarms.topic_arns is [${join(", ", var.alarms.topic_arns)}]: give ARNs of SNS topics in ${var.region}."
  }
}

variable "log_days" {
  type        = number
  description = "Days that the instances' logs are kept."
  default     = 90
  nullable    = false

  validation {
    condition     = contains(local.log_days, var.log_days)
    error_message = "log_days is ${var.log_days}: CloudWatch Logs keeps ${join(", ", local.log_days)} days."
  }
}
