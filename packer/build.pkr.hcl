# The same steps in EC2 and in the rehearsal. Each script says in its first lines what it is for.
build {
  sources = ["source.null.rehearsal", "source.amazon-ebs.trixie"]

  # In memory, so that nothing of it stays in the image.
  provisioner "shell" {
    inline = ["mkdir -m 0755 /run/pinion-bake"]
  }

  provisioner "file" {
    source      = "${path.root}/files"
    destination = "/run/pinion-bake"
  }

  provisioner "file" {
    source      = var.deb
    destination = "/run/pinion-bake/pinion-agent.deb"
  }

  provisioner "shell" {
    scripts = [
      "${path.root}/provision/10-install.sh",
      "${path.root}/provision/20-configure.sh",
      "${path.root}/provision/30-harden.sh",
      "${path.root}/provision/40-version.sh",
      "${path.root}/provision/50-clean.sh",
      "${path.root}/provision/60-verify.sh",
    ]
    environment_vars = [
      "BAKE=/run/pinion-bake",
      "PINION_VERSION=${var.version}",
      "PINION_COMMIT=${var.commit}",
      "SOURCE_AMI=${try(build.SourceAMIName, "none")}",
      "CLOUDWATCH_AGENT_VERSION=${var.cloudwatch_agent_version}",
      "CLOUDWATCH_AGENT_SHA256=${var.cloudwatch_agent_sha256}",
      "SSM_AGENT_VERSION=${var.ssm_agent_version}",
      "SSM_AGENT_SHA256=${var.ssm_agent_sha256}",
      # Stands for a secret of the bake: 60-verify looks for it in every file.
      "BAKE_CANARY=${uuidv4()}",
    ]
  }

  post-processor "manifest" {
    output     = var.manifest
    strip_path = true
    custom_data = {
      version = var.version
      commit  = var.commit
    }
  }
}
