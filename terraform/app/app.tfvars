region     = "eu-west-1"
account_id = "123456789012"
app        = "shop"

# In the order in which a release passes them. Each is entered after its terraform/environment is there.
environments = [
  { name = "staging" },
  { name = "prod" },
]

repository = {
  connection_arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/00000000-0000-0000-0000-000000000000"
  name           = "example/shop"
}

# In the app's folder, before anything is published.
test_command = "pip install -r requirements-dev.txt && python -m pytest -q"

build_image = "aws/codebuild/standard:7.0-26.07.29"

terraform = {
  version = "1.11.4"
  sha256  = "0000000000000000000000000000000000000000000000000000000000000000"
}

state_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"

notify_emails = ["shop@example.com"]
