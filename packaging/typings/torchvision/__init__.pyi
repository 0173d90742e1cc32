from torchvision import models as models
