# A machine that runs already: the rehearsal's guest, or a virtual machine of one's own.
source "null" "rehearsal" {
  ssh_host             = var.ssh_host
  ssh_port             = var.ssh_port
  ssh_username         = "root"
  ssh_private_key_file = var.ssh_key
}
