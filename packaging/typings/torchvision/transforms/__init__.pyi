from torchvision.transforms import functional as functional
