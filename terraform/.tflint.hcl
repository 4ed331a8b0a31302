# test/terraform/checks.test.ts runs it over every root.
plugin "terraform" {
  enabled = true
  preset  = "all"
}

# A root's files are named by what they make; there is no main.tf.
rule "terraform_standard_module_structure" {
  enabled = false
}
