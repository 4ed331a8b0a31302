region     = "eu-west-1"
account_id = "123456789012"
app        = "shop"
env        = "staging"

vpc = {
  cidr               = "10.20.0.0/16"
  availability_zones = ["eu-west-1a", "eu-west-1b"]
}
egress = "nat"

balancer = {
  domain_name         = "staging.shop.example.com"
  certificate_arn     = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  zone_id             = "Z0123456789ABCDEFGHIJ"
  deletion_protection = false
  log_days            = 30
}

# Leave it out once the image pipeline has written /pinion/image: what it bakes is proposed then.
image = {
  id = "ami-0123456789abcdef0"
}

fleet = {
  instance_type = "t3.small"
  min           = 1
  max           = 2
}

# As terraform/app puts them out: terraform output
artifacts = {
  bucket  = "pinion-shop-artifacts-123456789012"
  key_arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}
pipeline = {
  bucket  = "pinion-shop-pipeline-123456789012"
  key_arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
}

log_days = 30
