# What a rehearsal leaves out. Amazon's packages are not in Debian's archive, and their agents are of no use outside an account.
cloudwatch_agent_version = "left-out"
cloudwatch_agent_sha256  = "left-out"
ssm_agent_version        = "left-out"
ssm_agent_sha256         = "left-out"

# Read by amazon-ebs alone, which does not run.
region     = "eu-west-1"
subnet_id  = "subnet-00000000"
kms_key_id = "arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-0000-0000-000000000000"
