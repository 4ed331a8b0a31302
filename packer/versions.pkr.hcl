# Packer 1.6.6, which Debian packages, cannot read this file: the rehearsal leaves it out.
packer {
  required_version = ">= 1.11.0, < 2.0.0"

  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = "1.8.2"
    }
  }
}
