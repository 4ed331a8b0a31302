region     = "eu-west-1"
account_id = "123456789012"
app        = "shop"
env        = "prod"

vpc = {
  cidr               = "10.30.0.0/16"
  availability_zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
}
egress = "endpoints"

balancer = {
  domain_name     = "shop.example.com"
  certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  zone_id         = "Z0123456789ABCDEFGHIJ"
}

# Leave it out once the image pipeline has written /pinion/image: what it bakes is proposed then.
image = {
  id = "ami-0123456789abcdef0"
}

fleet = {
  instance_type = "t3.medium"
  min           = 3
  max           = 9
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

release_from = "staging"
