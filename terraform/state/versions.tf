terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }

  # This state begins as a file beside these, and moves into the bucket that it made:
  #   mv backend.tf.later backend.tf && terraform init -migrate-state -backend-config=state.s3.tfbackend
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = merge(var.tags, { App = var.app, ManagedBy = "pinion" })
  }
}
